#include "solvers/meta_solver.hpp"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <random>

#include "caffe/util/db.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "layers/metaperturb_layer.hpp"

namespace caffe {

namespace {

const char kData[] = R"(
  name: "tiny"
  layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
    transform_param { scale: 0.00392156862 @TRANSFORM@ }
    data_param { source: "replaced" backend: LMDB batch_size: 4 } }
  layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
    data_param { source: "never read" backend: LMDB batch_size: 4 } }
)";
const char kBody[] = R"(
  layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
    convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
  layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "bn1"
    batch_norm_param { moving_average_fraction: 0.9 } }
  layer { name: "scale1" type: "Scale" bottom: "bn1" top: "bn1" scale_param { bias_term: true } }
  layer { name: "mp1" type: "MetaPerturb" bottom: "bn1" top: "mp1" param { name: "phi" }
    metaperturb_param { @NOISE@ } }
  layer { name: "relu1" type: "ReLU" bottom: "mp1" top: "mp1" }
  layer { name: "conv2" type: "Convolution" bottom: "mp1" top: "conv2"
    convolution_param { num_output: 5 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
  layer { name: "mp2" type: "MetaPerturb" bottom: "conv2" top: "mp2" param { name: "phi" }
    metaperturb_param { @NOISE@ } }
  layer { name: "relu2" type: "ReLU" bottom: "mp2" top: "mp2" }
)";
const char kOtherBody[] = R"(
  layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
    convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "msra" } } }
  layer { name: "mp" type: "MetaPerturb" bottom: "conv" top: "mp2" param { name: "phi" }
    metaperturb_param { @NOISE@ } }
)";
const char kHead[] = R"(
  layer { name: "pool" type: "Pooling" bottom: "mp2" top: "pool"
    pooling_param { pool: AVE global_pooling: true } }
  layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
    inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
  layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
)";

string Replaced(string text, const string& what, const string& by) {
  for (size_t at = text.find(what); at != string::npos; at = text.find(what)) {
    text.replace(at, what.size(), by);
  }
  return text;
}

template <typename Dtype>
vector<double> Values(const Blob<Dtype>& blob) {
  return vector<double>(blob.cpu_data(), blob.cpu_data() + blob.count());
}

class MetaSolverTest : public ::testing::Test {
 protected:
  MetaSolverTest() {
    MakeTempDir(&dir_);
    WriteNet("net.prototxt", string(kData) + kBody + kHead, "noise: MEAN", "");
    WriteNet("other.prototxt", string(kData) + kOtherBody + kHead, "noise: MEAN", "");
    for (int i = 0; i < 4; ++i) WriteDatabase("db" + std::to_string(i), i < 2 ? 2 : 3, i);
  }
  ~MetaSolverTest() override { std::filesystem::remove_all(dir_); }

  string Path(const string& name) const { return dir_ + "/" + name; }

  void WriteText(const string& name, const string& text) { std::ofstream(Path(name)) << text; }
  void WriteNet(const string& name, const string& text, const string& noise,
                const string& transform) {
    WriteText(name, Replaced(Replaced(text, "@NOISE@", noise), "@TRANSFORM@", transform));
  }

  // 12 images of 2 x 7 x 6, brighter at another place for every class.
  void WriteDatabase(const string& name, int classes, int seed) {
    std::mt19937 random(seed);
    std::unique_ptr<db::DB> database(db::GetDB("lmdb"));
    database->Open(Path(name), db::NEW);
    std::unique_ptr<db::Transaction> transaction(database->NewTransaction());
    for (int i = 0; i < 12; ++i) {
      Datum datum;
      datum.set_channels(2);
      datum.set_height(7);
      datum.set_width(6);
      datum.set_label(i % classes);
      string pixels;
      for (int p = 0; p < 2 * 7 * 6; ++p) {
        const int bright = p % 6 / 2 == i % classes ? 120 : 0;
        pixels.push_back(static_cast<char>(random() % 100 + bright));
      }
      datum.set_data(pixels);
      char key[16];
      snprintf(key, sizeof(key), "%04d", i);
      transaction->Put(key, datum.SerializeAsString());
    }
    transaction->Commit();
  }

  // Two tasks: "a" with 2 classes, "b" with 3 classes and a network of its own.
  MetaSolverParameter Definition(const string& theta = "base_lr: 0.1 lr_policy: 'fixed'",
                                 const string& phi = "base_lr: 0.5 lr_policy: 'fixed'") {
    const string text = Replaced(
        "net: 'DIR/net.prototxt' max_iter: 6 random_seed: 5 snapshot_prefix: 'DIR/run' "
        "task { name: 'a' train_source: 'DIR/db0' val_source: 'DIR/db1' } "
        "task { name: 'b' train_source: 'DIR/db2' val_source: 'DIR/db3' num_output: 3 "
        "       net: 'DIR/other.prototxt' batch_size: 6 weight: 2 } "
        "theta { " +
            theta + " } phi { " + phi + " }",
        "DIR", dir_);
    MetaSolverParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(text, &param));
    return param;
  }

  // The net of a task, made by hand from its file.
  std::unique_ptr<Net<double>> Reference(const MetaSolverParameter& run, int t, bool validation) {
    const MetaTaskParameter& task = run.task(t);
    NetParameter param;
    ReadNetParamsFromTextFileOrDie(task.has_net() ? task.net() : run.net(), &param);
    param.mutable_state()->set_phase(TRAIN);
    for (LayerParameter& layer : *param.mutable_layer()) {
      if (layer.name() == "data") {
        layer.mutable_data_param()->set_source(validation ? task.val_source()
                                                          : task.train_source());
        layer.mutable_data_param()->set_batch_size(t == 0 ? 4 : 6);
      }
      if (layer.name() == "fc") {
        layer.mutable_inner_product_param()->set_num_output(t == 0 ? 2 : 3);
      }
      if (validation && layer.type() == "BatchNorm") {
        layer.mutable_batch_norm_param()->set_use_global_stats(true);
      }
    }
    return std::unique_ptr<Net<double>>(new Net<double>(param));
  }

  template <class Work>
  void ExpectError(const Work& work, const vector<string>& parts) {
    try {
      work();
      ADD_FAILURE() << "no error; expected one with '" << parts[0] << "'";
    } catch (const Error& e) {
      const string what = e.what();
      for (const string& part : parts) EXPECT_NE(what.find(part), string::npos) << what;
      EXPECT_EQ(what.find('\n'), string::npos) << what;
    }
  }
  void ExpectRefused(const MetaSolverParameter& param, const vector<string>& parts) {
    ExpectError([&] { MetaSolver<float> solver(param); }, parts);
  }

  string dir_;
};

bool IsTheta(const string& type) {
  return type == "Convolution" || type == "InnerProduct" || type == "Scale";
}

TEST_F(MetaSolverTest, StepIsTheTwoPhaseUpdate) {
  const MetaSolverParameter param = Definition();
  MetaSolver<double> solver(param);
  vector<std::unique_ptr<Net<double>>> train, val;
  for (int t = 0; t < 2; ++t) {
    train.push_back(Reference(param, t, false));
    val.push_back(Reference(param, t, true));
    NetParameter start;
    solver.tasks()[t]->theta_net().ToProto(&start);
    train[t]->CopyTrainedLayersFrom(start);
  }
  vector<double> phi = Values(solver.phi());
  ASSERT_EQ(phi.size(), 82u);

  for (int step = 0; step < 5; ++step) {
    vector<double> gradient(82, 0.0);
    for (int t = 0; t < 2; ++t) {
      // theta's step.
      train[t]->ClearParamDiffs();
      train[t]->ForwardBackward();
      double change = 0;
      for (const auto& layer : train[t]->layers()) {
        if (!IsTheta(layer->type())) continue;
        for (const auto& blob : layer->blobs()) {
          for (int i = 0; i < blob->count(); ++i) {
            blob->mutable_cpu_data()[i] -= 0.1 * blob->cpu_diff()[i];
          }
          change += blob->asum_diff();
        }
      }
      EXPECT_GT(change, 1e-3);
      // The gradient of phi at the new theta.
      NetParameter now;
      train[t]->ToProto(&now);
      val[t]->CopyTrainedLayersFrom(now);
      val[t]->ClearParamDiffs();
      val[t]->ForwardBackward();
      const Blob<double>& owner = *val[t]->params()[val[t]->param_names_index().at("phi")];
      const double weight = t == 0 ? 1.0 / 3 : 2.0 / 3;
      for (int i = 0; i < 82; ++i) gradient[i] += weight * owner.cpu_diff()[i];
    }
    double norm = 0;
    for (int i = 0; i < 82; ++i) {
      phi[i] -= 0.5 * gradient[i];
      norm += gradient[i] * gradient[i];
    }
    EXPECT_GT(norm, 1e-10);

    solver.Step(1);

    for (int i = 0; i < 82; ++i) EXPECT_NEAR(solver.phi().cpu_data()[i], phi[i], 1e-12);
    for (int t = 0; t < 2; ++t) {
      const Net<double>& net = solver.tasks()[t]->theta_net();
      for (const auto& layer : train[t]->layers()) {
        const string name = layer->layer_param().name();
        const bool perturb = string(layer->type()) == "MetaPerturb";
        const auto& blobs = net.layer_by_name(name)->blobs();
        for (size_t j = 0; j < blobs.size(); ++j) {
          // The statistics of BatchNorm, too, are those after the theta pass alone; MetaPerturb's
          // go on in the phi pass.
          const Net<double>& source = perturb ? *val[t] : *train[t];
          const vector<double> expected =
              perturb && j == 0 ? phi : Values(*source.layer_by_name(name)->blobs()[j]);
          const vector<double> found = Values(*blobs[j]);
          ASSERT_EQ(found.size(), expected.size());
          const bool counter = perturb && j == 3;
          for (size_t i = 0; i < found.size() && !counter; ++i) {
            EXPECT_NEAR(found[i], expected[i], 1e-10)
                << "step " << step << ", task " << t << ", layer " << name << ", blob " << j;
          }
        }
      }
      // The references go on with the new phi and MetaPerturb's statistics.
      NetParameter now;
      net.ToProto(&now);
      for (int l = now.layer_size() - 1; l >= 0; --l) {
        if (now.layer(l).type() != "MetaPerturb") now.mutable_layer()->DeleteSubrange(l, 1);
      }
      train[t]->CopyTrainedLayersFrom(now);
    }
  }
}

TEST_F(MetaSolverTest, TasksHaveTheirOwnNets) {
  MetaSolver<float> solver(Definition());
  EXPECT_EQ(solver.tasks()[0]->theta_net().blob_by_name("fc")->shape(), (vector<int>{4, 2}));
  EXPECT_EQ(solver.tasks()[1]->theta_net().blob_by_name("fc")->shape(), (vector<int>{6, 3}));
  EXPECT_TRUE(solver.tasks()[0]->theta_net().has_layer("conv1"));
  EXPECT_FALSE(solver.tasks()[1]->theta_net().has_layer("conv1"));
  solver.Step(2);
  EXPECT_GE(solver.tasks()[1]->accuracy(), 0.0);
  EXPECT_LE(solver.tasks()[1]->accuracy(), 1.0);
}

TEST_F(MetaSolverTest, UnneededGradientsAreNotComputed) {
  MetaSolver<float> solver(Definition());
  for (const auto& task : solver.tasks()) {
    for (const bool validation : {false, true}) {
      Net<float>& net = validation ? task->val_net() : task->theta_net();
      for (const auto& layer : net.layers()) {
        const bool perturb = string(layer->type()) == "MetaPerturb";
        for (size_t j = 0; j < layer->blobs().size(); ++j) {
          const bool statistics = string(layer->type()) == "BatchNorm" || (perturb && j > 0);
          const bool expected = !statistics && perturb == validation;
          EXPECT_EQ(layer->param_propagate_down(static_cast<int>(j)), expected)
              << layer->layer_param().name() << " " << j;
        }
      }
    }
    EXPECT_FALSE(task->val_net().layer_need_backward()[1]);
  }
}

TEST_F(MetaSolverTest, PhiPassLeavesThetaAndBatchStatistics) {
  MetaSolver<double> solver(Definition());
  solver.Step(1);
  MetaTask<double>& task = *solver.tasks()[0];
  vector<vector<double>> before;
  for (const auto& layer : task.theta_net().layers()) {
    for (const auto& blob : layer->blobs()) before.push_back(Values(*blob));
  }
  task.Validate(2);
  size_t at = 0;
  bool statistics_moved = false;
  for (const auto& layer : task.theta_net().layers()) {
    const bool perturb = string(layer->type()) == "MetaPerturb";
    for (size_t j = 0; j < layer->blobs().size(); ++j, ++at) {
      const bool same = before[at] == Values(*layer->blobs()[j]);
      if (perturb && (j == 1 || j == 2)) {
        statistics_moved |= !same;
      } else {
        EXPECT_TRUE(same) << layer->layer_param().name() << " " << j;
      }
    }
  }
  EXPECT_TRUE(statistics_moved);
}

TEST_F(MetaSolverTest, ThetaStepLeavesPhi) {
  MetaSolver<double> solver(Definition("base_lr: 0.1 lr_policy: 'fixed' weight_decay: 0.1"));
  const vector<double> before = Values(solver.phi());
  for (const auto& task : solver.tasks()) task->StepTheta();
  EXPECT_EQ(Values(solver.phi()), before);
}

TEST_F(MetaSolverTest, EachNetCountsItsOwnPasses) {
  MetaSolver<float> solver(Definition());
  solver.Step(3);
  for (Net<float>* net : {&solver.tasks()[0]->theta_net(), &solver.tasks()[0]->val_net()}) {
    EXPECT_EQ(net->layer_by_name("mp2")->blobs()[3]->cpu_data()[0], 3);
  }
}

TEST_F(MetaSolverTest, NetsOfOneShapeShareActivations) {
  MetaSolverParameter param = Definition();
  *param.mutable_task(1) = param.task(0);
  param.mutable_task(1)->set_name("b");
  MetaSolver<float> solver(param);
  const auto memory = [&](int task, bool validation, const char* blob) {
    Net<float>& net =
        validation ? solver.tasks()[task]->val_net() : solver.tasks()[task]->theta_net();
    return net.blob_by_name(blob)->data().get();
  };
  EXPECT_EQ(memory(0, false, "conv2"), memory(0, true, "conv2"));
  EXPECT_EQ(memory(0, false, "conv2"), memory(1, true, "conv2"));
  EXPECT_NE(memory(0, false, "data"), memory(1, false, "data"));
  EXPECT_NE(memory(0, false, "loss"), memory(0, true, "loss"));
}

TEST_F(MetaSolverTest, PhiStartsFromTheRunsSeedOrAFile) {
  MetaSolverParameter param = Definition();
  MetaSolver<float> first(param), same(param);
  EXPECT_EQ(Values(first.phi()), Values(same.phi()));
  double squares = 0;
  for (double value : Values(first.phi())) squares += value * value;
  EXPECT_NEAR(std::sqrt(squares / 82), 0.01, 0.003);
  param.set_random_seed(6);
  MetaSolver<float> other(param);
  EXPECT_NE(Values(first.phi()), Values(other.phi()));

  first.Step(1);
  first.Snapshot();
  const string file = Path("run_phi_iter_1.caffemodel");
  EXPECT_EQ(ReadPhi(file), Values(first.phi()));
  for (const char* name : {"net", "other"}) {
    const string body = string(name) == "net" ? kBody : kOtherBody;
    WriteNet(string(name) + ".prototxt", kData + body + kHead, "phi: '" + file + "'", "");
  }
  MetaSolver<float> loaded(param);
  EXPECT_EQ(Values(loaded.phi()), Values(first.phi()));
  EXPECT_EQ(Values(loaded.tasks()[1]->phi()), Values(first.phi()));
  WriteNet("other.prototxt", string(kData) + kOtherBody + kHead, "", "");
  ExpectRefused(param, {"task 'b' loads phi from ''", file});
}

// Everything that a run consists of, as bytes.
template <typename Dtype>
string StateOf(const MetaSolver<Dtype>& solver) {
  string bytes;
  for (const auto& task : solver.tasks()) {
    MetaSolverState::Task state;
    task->ToProto(&state);
    bytes += state.SerializeAsString();
  }
  BlobProto phi;
  solver.phi().ToProto(&phi);
  return bytes + phi.SerializeAsString();
}

class MetaSolverTypeTest : public MetaSolverTest,
                           public ::testing::WithParamInterface<const char*> {};

TEST_P(MetaSolverTypeTest, RestoredRunIsBitwiseTheSame) {
  WriteNet("net.prototxt", string(kData) + kBody + kHead, "anneal_iter: 4",
           "mirror: true crop_size: 5");
  const string optimiser = string(
                               "base_lr: 0.01 lr_policy: 'multistep' gamma: 0.5 stepvalue: 2 "
                               "stepvalue: 4 weight_decay: 0.001 type: '") +
                           GetParam() + "'";
  const MetaSolverParameter param = Definition(optimiser, optimiser + " iter_size: 2");
  MetaSolver<float> straight(param);
  straight.Step(3);
  straight.Snapshot();
  straight.Step(3);

  MetaSolver<float> resumed(param);
  resumed.Restore(Path("run_iter_3.metastate"));
  EXPECT_EQ(resumed.iter(), 3);
  resumed.Step(3);
  EXPECT_EQ(resumed.iter(), 6);
  EXPECT_TRUE(StateOf(resumed) == StateOf(straight));

  MetaSolver<float> shorter(param);
  shorter.Step(3);
  EXPECT_FALSE(StateOf(shorter) == StateOf(straight));
}

INSTANTIATE_TEST_SUITE_P(AllTypes, MetaSolverTypeTest,
                         ::testing::Values("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta",
                                           "Adam"));

TEST_F(MetaSolverTest, SolveWritesSnapshotsAndResumes) {
  MetaSolverParameter param = Definition();
  param.set_snapshot(4);
  MetaSolver<float> straight(param);
  straight.Solve();
  EXPECT_EQ(straight.iter(), 6);
  for (const char* file : {"run_phi_iter_4.caffemodel", "run_iter_4.metastate",
                           "run_phi_iter_6.caffemodel", "run_iter_6.metastate"}) {
    EXPECT_TRUE(std::filesystem::exists(Path(file))) << file;
  }
  MetaSolver<float> resumed(param);
  resumed.Solve(Path("run_iter_4.metastate"));
  EXPECT_TRUE(StateOf(resumed) == StateOf(straight));
}

TEST_F(MetaSolverTest, SeedIsTakenFromTheSnapshot) {
  MetaSolverParameter param = Definition();
  param.clear_random_seed();
  MetaSolver<float> straight(param);
  straight.Step(1);
  straight.Snapshot();
  MetaSolverParameter adopted = param;
  AdoptSnapshotSeed(Path("run_iter_1.metastate"), &adopted);
  EXPECT_EQ(adopted.random_seed(), straight.seed());
  adopted.set_random_seed(9);
  AdoptSnapshotSeed(Path("run_iter_1.metastate"), &adopted);
  EXPECT_EQ(adopted.random_seed(), 9);
}

TEST_F(MetaSolverTest, StopTakesASnapshot) {
  MetaSolver<float> solver(Definition());
  solver.SetActionFunction(
      [&] { return solver.iter() == 2 ? SolverAction::STOP : SolverAction::NONE; });
  solver.Solve();
  EXPECT_EQ(solver.iter(), 2);
  EXPECT_TRUE(std::filesystem::exists(Path("run_iter_2.metastate")));
}

TEST_F(MetaSolverTest, BothLossesFall) {
  MetaSolverParameter param =
      Definition("base_lr: 0.02 lr_policy: 'fixed' type: 'Adam' momentum: 0.9",
                 "base_lr: 0.01 lr_policy: 'fixed' type: 'Adam' momentum: 0.9");
  MetaSolver<float> solver(param);
  const auto losses = [&](double* train, double* val) {
    *train = solver.tasks()[0]->StepTheta();
    *val = solver.tasks()[0]->Validate(3);
  };
  double train_before, val_before, train_after, val_after;
  losses(&train_before, &val_before);
  solver.Step(60);
  losses(&train_after, &val_after);
  EXPECT_LT(train_after, 0.8 * train_before);
  EXPECT_LT(val_after, val_before);
}

TEST_F(MetaSolverTest, MistakesInTheRun) {
  MetaSolverParameter param = Definition();
  param.clear_task();
  ExpectRefused(param, {"no task is given"});

  param = Definition();
  param.mutable_task(1)->set_name("a");
  ExpectRefused(param, {"two tasks have the name 'a'"});
  param.mutable_task(1)->clear_name();
  param.mutable_task(0)->set_name("task1");
  ExpectRefused(param, {"two tasks have the name 'task1'"});

  param = Definition();
  param.mutable_theta()->set_type("Adm");
  ExpectRefused(param, {"theta: ", "'Adm'", "Adam"});
  param = Definition();
  param.mutable_phi()->set_type("Adm");
  ExpectRefused(param, {"phi: ", "'Adm'", "Adam"});
  param = Definition();
  param.mutable_phi()->clear_base_lr();
  ExpectRefused(param, {"phi: base_lr is not given"});
  param = Definition();
  param.mutable_phi()->set_lr_policy("stairs");
  ExpectRefused(param, {"phi: ", "stairs"});

  param = Definition();
  param.clear_max_iter();
  ExpectRefused(param, {"max_iter"});
  param = Definition();
  param.mutable_task(0)->set_weight(-1);
  ExpectRefused(param, {"task 'a'", "weight is -1"});
  param.mutable_task(0)->set_weight(0);
  param.mutable_task(1)->set_weight(0);
  ExpectRefused(param, {"every task has weight 0"});
  param = Definition();
  param.set_snapshot_prefix(Path("nowhere/run"));
  ExpectRefused(param, {Path("nowhere/run"), "cannot be written"});
}

TEST_F(MetaSolverTest, MistakesInATask) {
  MetaSolverParameter param = Definition();
  param.mutable_task(1)->set_train_source(Path("missing"));
  ExpectRefused(param, {"task 'b'", Path("missing")});
  param = Definition();
  param.mutable_task(1)->set_val_source(Path("missing"));
  ExpectRefused(param, {"task 'b'", Path("missing")});
  param.mutable_task(1)->clear_val_source();
  ExpectRefused(param, {"task 'b'", "val_source is not given", "layer 'data'"});

  param = Definition();
  param.mutable_task(0)->set_net(Path("missing.prototxt"));
  ExpectRefused(param, {"task 'a'", Path("missing.prototxt")});
  param = Definition();
  param.clear_net();
  ExpectRefused(param, {"task 'a'", "no net is given"});

  param = Definition();
  param.set_phi_param("psi");
  ExpectRefused(param, {"task 'a'", Path("net.prototxt"), "no parameter named 'psi'"});

  WriteNet("net.prototxt",
           string(kData) + kBody + "layer { name: 'silence' type: 'Silence' bottom: 'label' }", "",
           "");
  param = Definition();
  param.mutable_task(0)->set_num_output(2);
  ExpectRefused(param, {"task 'a'", Path("net.prototxt"), "num_output 2", "feeds a loss"});

  WriteNet("net.prototxt",
           string("layer { name: 'data' type: 'DummyData' top: 'data' top: 'label' "
                  "dummy_data_param { shape { dim: 4 dim: 2 dim: 7 dim: 6 } shape { dim: 4 } } }") +
               kBody + kHead,
           "", "");
  ExpectRefused(Definition(), {"task 'a'", "train_source", Path("db0"), "no Data or ImageData"});
}

TEST_F(MetaSolverTest, LossThatIsNotFinite) {
  MetaSolver<float> solver(Definition("base_lr: 1e30 lr_policy: 'fixed'"));
  ExpectError([&] { solver.Step(10); }, {"task 'a'", "loss is ", "meta-iteration "});
}

TEST_F(MetaSolverTest, MistakesInASnapshot) {
  MetaSolver<float> solver(Definition());
  solver.Step(1);
  solver.Snapshot();
  const string file = Path("run_iter_1.metastate");
  ExpectError([&] { solver.Restore(Path("missing")); }, {Path("missing")});
  ExpectError([&] { solver.Restore(Path("net.prototxt")); }, {Path("net.prototxt")});

  MetaSolverParameter param = Definition();
  param.mutable_task()->RemoveLast();
  MetaSolver<float> one_task(param);
  ExpectError([&] { one_task.Restore(file); }, {file, "2 task(s)", "has 1"});
  param = Definition();
  param.mutable_task(1)->set_name("c");
  MetaSolver<float> renamed(param);
  ExpectError([&] { renamed.Restore(file); }, {file, "'b'", "'c'"});
  param = Definition("base_lr: 0.1 lr_policy: 'fixed' type: 'Adam'");
  MetaSolver<float> adam(param);
  ExpectError([&] { adam.Restore(file); }, {file, "task 'a'", "moments", "Adam"});

  std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  ExpectError([&] { solver.Restore(file); }, {file});
}

TEST_F(MetaSolverTest, ReadsItsDefinition) {
  WriteText("meta.prototxt", "max_iter: 3\ntask {}\n");
  const MetaSolverParameter param = ReadMetaSolverParameter(Path("meta.prototxt"));
  EXPECT_EQ(param.max_iter(), 3u);
  EXPECT_EQ(param.snapshot_prefix(), Path("meta"));
  WriteText("meta.prototxt", "max_iter: 3\ntasks {}\n");
  ExpectError([&] { ReadMetaSolverParameter(Path("meta.prototxt")); },
              {Path("meta.prototxt") + ":2:"});
}

}  // namespace

}  // namespace caffe

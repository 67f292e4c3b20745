#include <cmath>

#include "layers/read_phi.hpp"
#include "solvers/meta_solver_fixture.hpp"

namespace caffe {
namespace meta_testing {
namespace {

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
            blob->mutable_cpu_data()[i] -= 0.125 * blob->cpu_diff()[i];
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

// The net is built of the layers that the task's own stages leave, and of no others.
TEST_F(MetaSolverTest, ATaskMayHaveItsOwnStage) {
  const string dropout =
      "layer { name: 'drop' type: 'Dropout' bottom: 'mp2' top: 'mp2' RULE { stage: 'x' } } ";
  for (const string rule : {"include", "exclude"}) {
    WriteNet("net.prototxt", string(kData) + kBody + Replaced(dropout, "RULE", rule) + kHead,
             "noise: MEAN", "");
    MetaSolverParameter param = Definition();
    param.mutable_task(0)->mutable_theta()->mutable_train_state()->add_stage("x");
    MetaSolver<float> solver(param);
    EXPECT_EQ(solver.tasks()[0]->theta_net().has_layer("drop"), rule == "include");
    EXPECT_EQ(solver.tasks()[0]->val_net().has_layer("drop"), rule == "include");
    solver.Step(2);
  }
}

#ifndef METAPERTURB_FOREIGN_HOST
TEST_F(MetaSolverTest, LayersMayShareANameWithOneWithoutParameters) {
  WriteNet("net.prototxt",
           Replaced(string(kData) + kBody + kHead, "name: \"relu2\"", "name: \"bn1\""),
           "noise: MEAN", "");
  MetaSolver<float> solver(Definition());
  solver.Step(1);
  EXPECT_EQ(solver.iter(), 1);
}

TEST_F(MetaSolverTest, ThetaMayStartFromWeightsAndBeHeldToThem) {
  MetaSolverParameter param = Definition();
  param.mutable_task()->RemoveLast();
  NetParameter weights;
  {
    MetaSolver<float> source(param);
    source.Step(2);
    source.tasks()[0]->theta_net().ToProto(&weights);
  }
  WriteProtoToBinaryFile(weights, Path("source.caffemodel"));
  param.mutable_theta()->add_weights(Path("source.caffemodel"));
  const auto start = [&](const MetaSolver<float>& solver) {
    return Values(*solver.tasks()[0]->theta_net().layer_by_name("conv1")->blobs()[0]);
  };
  vector<double> expected;
  for (const LayerParameter& layer : weights.layer()) {
    if (layer.name() != "conv1") continue;
    expected.assign(layer.blobs(0).data().begin(), layer.blobs(0).data().end());
  }
  MetaSolver<float> plain(param);
  EXPECT_EQ(start(plain), expected);
  param.mutable_theta()->set_regularization_type("L2-SP");
  param.mutable_theta()->set_l2_sp_decay(1);
  MetaSolver<float> held(param);
  EXPECT_EQ(start(held), expected);
  plain.Step(20);
  held.Step(20);
  const auto distance = [&](const MetaSolver<float>& solver) {
    double sum = 0;
    const vector<double> now = start(solver);
    for (size_t i = 0; i < now.size(); ++i) sum += std::pow(now[i] - expected[i], 2);
    return sum;
  };
  EXPECT_LT(distance(held), distance(plain));
  param.mutable_theta()->clear_weights();
  ExpectRefused(param, {"task 'a'", "L2-SP", "weights"});
}
#endif

TEST_F(MetaSolverTest, ImagesOfAMetaStep) {
  MetaSolverParameter param = Definition();
  param.mutable_phi()->set_iter_size(3);
  param.mutable_theta()->set_iter_size(2);
  MetaSolver<float> solver(param);
  EXPECT_EQ(solver.task_set().report(0).images(), 4u * (2 + 3));
  EXPECT_EQ(solver.task_set().report(1).images(), 6u * (2 + 3));
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
#ifdef METAPERTURB_FOREIGN_HOST
          if (statistics) continue;  // Caffe asks for these, whose lr_mult the layer sets to 0
#endif
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

}  // namespace
}  // namespace meta_testing
}  // namespace caffe

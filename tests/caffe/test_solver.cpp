#include "caffe/solver.hpp"

#include <filesystem>

#include "caffe/solvers/solver_test.hpp"

namespace caffe {
namespace testing {

class SolverTest : public ::testing::Test {
 protected:
  void SetUp() override { MakeTempDir(&directory_); }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  SolverParameter Snapshotting(const string& text) {
    SolverParameter param = SolverText(text);
    param.set_snapshot_prefix(directory_ + "/run");
    return param;
  }
  string File(const string& name) const { return directory_ + "/" + name; }
  bool Exists(const string& name) const { return std::filesystem::exists(File(name)); }

  string directory_;
};

// Learning rates of the iterations 0 to n - 1.
vector<double> Rates(const string& text, int n) {
  const auto solver = MakeSolver<double>(SolverText(text));
  vector<double> rates;
  for (int i = 0; i < n; ++i) {
    rates.push_back(solver->GetLearningRate());
    solver->Step(1);
  }
  return rates;
}

void ExpectRates(const string& text, const vector<double>& expected) {
  const vector<double> rates = Rates(text, static_cast<int>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(rates[i], expected[i], 1e-9) << text << ", iteration " << i;
  }
}

TEST_F(SolverTest, LearningRatePolicies) {
  const string base = "base_lr: 0.5 gamma: 0.25 ";
  ExpectRates(base + "lr_policy: 'fixed'", {0.5, 0.5, 0.5});
  ExpectRates(base + "lr_policy: 'step' stepsize: 2", {0.5, 0.5, 0.125, 0.125, 0.03125});
  ExpectRates(base + "lr_policy: 'exp'", {0.5, 0.125, 0.03125});
  ExpectRates(base + "lr_policy: 'inv' power: 2",
              {0.5, 0.5 / (1.25 * 1.25), 0.5 / (1.5 * 1.5), 0.5 / (1.75 * 1.75)});
  ExpectRates(base + "lr_policy: 'multistep' stepvalue: 1 stepvalue: 3",
              {0.5, 0.125, 0.125, 0.03125, 0.03125});
  ExpectRates(base + "lr_policy: 'poly' power: 2 max_iter: 4",
              {0.5, 0.5 * 0.5625, 0.5 * 0.25, 0.5 * 0.0625});
  ExpectRates(base + "lr_policy: 'sigmoid' stepsize: 1",
              {0.5 / (1 + std::exp(0.25)), 0.25, 0.5 / (1 + std::exp(-0.25))});
}

TEST_F(SolverTest, BadParameters) {
  const auto make = [](const string& text) { MakeSolver<float>(SolverText(text)); };
  EXPECT_ERROR(make("type: 'Adm'"), "unknown solver type 'Adm' (did you mean 'Adam'?)");
  // A solver without a policy may be made, but not trained with.
  SolverParameter without = SolverText("");
  without.clear_lr_policy();
  const auto solver = MakeSolver<float>(without);
  EXPECT_ERROR(solver->Step(1), "lr_policy is not given");
  EXPECT_ERROR(make("lr_policy: 'stepp'"), "unknown lr_policy 'stepp' (did you mean 'step'?)");
  EXPECT_ERROR(make("lr_policy: 'step'"), "needs a stepsize above 0, not 0");
  EXPECT_ERROR(make("lr_policy: 'poly'"), "needs a max_iter above 0, not 0");
  EXPECT_ERROR(make("gamma: -1"), "gamma is -1");
  for (const string policy : {"step' stepsize: 2", "exp'", "inv' power: 1",
                              "multistep' stepvalue: 2", "sigmoid' stepsize: 2"}) {
    EXPECT_ERROR(make("lr_policy: '" + policy), "' needs gamma");
  }
  for (const string policy : {"inv' gamma: 1", "poly' max_iter: 9"}) {
    EXPECT_ERROR(make("lr_policy: '" + policy), "' needs power");
  }
  EXPECT_ERROR(make("regularization_type: 'L3'"), "unknown regularization_type 'L3'");
  EXPECT_ERROR(make("iter_size: 0"), "iter_size is 0");
  EXPECT_ERROR(make("average_loss: 0"), "average_loss is 0");
  EXPECT_ERROR(make("snapshot_format: HDF5"), "HDF5 is not supported");
  EXPECT_ERROR(make("snapshot: 5"), "snapshot is set, but snapshot_prefix is not");
  EXPECT_ERROR(make("test_iter: 5"), "test_iter is set, but test_interval is not");
  EXPECT_ERROR(make("test_interval: 1 test_iter: 0"), "test_iter is 0");
  EXPECT_ERROR(make("train_net: 'a.prototxt' net: 'b.prototxt'"), "not 2");
  EXPECT_ERROR(make("net: '/no/such/net.prototxt'"), "/no/such/net.prototxt");
  EXPECT_ERROR(make("test_interval: 1 test_iter: 1 test_net: 'a' test_net: 'b'"),
               "test_iter is given 1 times for 2 test nets");
  EXPECT_ERROR(make("snapshot: 5 snapshot_prefix: '/no/such/directory/x'"),
               "'/no/such/directory/x' cannot be written: No such file");
}

TEST_F(SolverTest, WritesSnapshots) {
  const auto solver = MakeSolver<float>(Snapshotting("snapshot: 2 max_iter: 5"));
  solver->Solve();
  EXPECT_TRUE(Exists("run_iter_2.caffemodel") && Exists("run_iter_2.solverstate"));
  EXPECT_TRUE(Exists("run_iter_4.caffemodel") && Exists("run_iter_4.solverstate"));
  EXPECT_FALSE(Exists("run_iter_5.caffemodel"));  // snapshot_after_train is false here
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 4);
}

TEST_F(SolverTest, StopTakesASnapshot) {
  const auto solver = MakeSolver<float>(Snapshotting("max_iter: 50"));
  int asked = 0;
  solver->SetActionFunction([&asked] {
    ++asked;
    if (asked == 2) return SolverAction::SNAPSHOT;
    return asked == 3 ? SolverAction::STOP : SolverAction::NONE;
  });
  solver->Solve();
  EXPECT_EQ(solver->iter(), 3);
  EXPECT_TRUE(Exists("run_iter_2.solverstate"));
  EXPECT_TRUE(Exists("run_iter_3.caffemodel") && Exists("run_iter_3.solverstate"));
}

TEST_F(SolverTest, AnInterruptedTestIsMadeAgain) {
  const string text = "max_iter: 6 test_iter: 4 test_interval: 3 base_lr: 0.01";
  const auto straight = MakeSolver<float>(Snapshotting(text));
  straight->Solve();
  const auto stopped = MakeSolver<float>(Snapshotting(text));
  int asked = 0;  // 4 batches, 3 iterations, then the second batch of the second test
  stopped->SetActionFunction(
      [&asked] { return ++asked == 9 ? SolverAction::STOP : SolverAction::NONE; });
  stopped->Solve();
  EXPECT_EQ(stopped->iter(), 3);
  const auto resumed = MakeSolver<float>(Snapshotting(text));
  resumed->Solve(File("run_iter_3.solverstate"));
  EXPECT_EQ(resumed->test_nets()[0]->next_pass(), 12u);
  ExpectBitwiseEqual(*straight->test_nets()[0]->output_blobs()[0],
                     *resumed->test_nets()[0]->output_blobs()[0], "test loss");
}

TEST_F(SolverTest, ADrawnSeedIsResumed) {
  const SolverParameter param = Snapshotting("random_seed: 77 snapshot: 2");
  MakeSolver<float>(param)->Step(2);
  SolverParameter unset = param;
  unset.clear_random_seed();
  AdoptSnapshotSeed(File("run_iter_2.solverstate"), &unset);
  EXPECT_EQ(unset.random_seed(), 77);
  SolverParameter own = param;
  own.set_random_seed(5);
  AdoptSnapshotSeed(File("run_iter_2.solverstate"), &own);
  EXPECT_EQ(own.random_seed(), 5);
}

TEST_F(SolverTest, RestoreErrors) {
  const SolverParameter param = Snapshotting("snapshot: 2 momentum: 0.9");
  MakeSolver<float>(param)->Step(2);
  const auto solver = MakeSolver<float>(param);
  const string state_file = File("run_iter_2.solverstate");
  EXPECT_ERROR(solver->Restore(File("none.solverstate").c_str()), File("none.solverstate"));
  EXPECT_ERROR(solver->Restore("x.solverstate.h5"), "HDF5 snapshots are not supported");

  SolverState state;
  ReadProtoFromBinaryFile(state_file, &state);
  const auto restore = [&](SolverState changed, bool new_checksum = true) {
    if (new_checksum) SetChecksum(&changed);
    WriteProtoToBinaryFile(changed, File("changed.solverstate"));
    solver->Restore(File("changed.solverstate").c_str());
  };
  SolverState changed = state;
  changed.mutable_history()->RemoveLast();
  EXPECT_ERROR(restore(changed), "has 5 history blobs where solver SGD and the net need 6");
  changed = state;
  changed.mutable_history(0)->mutable_shape()->set_dim(0, 7);
  EXPECT_ERROR(restore(changed), "history blob 0 does not have the shape");
  changed = state;
  changed.mutable_history(0)->clear_data();
  EXPECT_ERROR(restore(changed), "history blob 0 has 0 values, not 30");
  changed = state;
  changed.set_learned_net("/no/such/weights.caffemodel");
  EXPECT_ERROR(restore(changed), "its weights '/no/such/weights.caffemodel' do not exist");
  changed = state;
  changed.mutable_history(0)->set_data(3, 1e-3f);
  EXPECT_ERROR(restore(changed, false),
               "changed.solverstate: is damaged: its checksum does not fit");
  EXPECT_EQ(solver->iter(), 0);

  // Upstream's files have no checksums.
  changed = state;
  changed.clear_run_state();
  WriteProtoToBinaryFile(changed, File("upstream.solverstate"));
  CheckSnapshot(File("upstream.solverstate"));
  // One bit of the weights.
  const string model_file = File("run_iter_2.caffemodel");
  std::fstream model(model_file, std::ios::in | std::ios::out | std::ios::binary);
  model.seekg(-9, std::ios::end);
  const char byte = static_cast<char>(model.get() ^ 1);
  model.seekp(-9, std::ios::end);
  model.put(byte);
  model.close();
  EXPECT_ERROR(solver->Restore(state_file.c_str()), model_file + ": is damaged, or not the one");

  std::filesystem::resize_file(state_file, std::filesystem::file_size(state_file) - 5);
  EXPECT_ERROR(solver->Restore(state_file.c_str()), state_file);
}

TEST_F(SolverTest, SnapshotsMayBeMoved) {
  const SolverParameter param = Snapshotting("snapshot: 2");
  MakeSolver<float>(param)->Step(2);
  std::filesystem::create_directory(File("moved"));
  for (const char* name : {"run_iter_2.caffemodel", "run_iter_2.solverstate"}) {
    std::filesystem::rename(File(name), File("moved/") + name);
  }
  const auto solver = MakeSolver<float>(param);
  solver->Restore(File("moved/run_iter_2.solverstate").c_str());
  EXPECT_EQ(solver->iter(), 2);
}

// Another run may have written to the place where a copied snapshot was made.
TEST_F(SolverTest, SnapshotsMayBeCopied) {
  SolverParameter param = Snapshotting("snapshot: 2 random_seed: 1");
  MakeSolver<float>(param)->Step(2);
  std::filesystem::create_directory(File("kept"));
  const string state = File("kept/run_iter_2.solverstate");
  for (const char* name : {"run_iter_2.caffemodel", "run_iter_2.solverstate"}) {
    std::filesystem::copy(File(name), File("kept/") + name);
  }
  param.set_random_seed(2);
  MakeSolver<float>(param)->Step(2);
  param.set_random_seed(1);
  MakeSolver<float>(param)->Restore(state.c_str());
  // The right one may also be where it was, and another beside the state.
  std::filesystem::rename(File("kept/run_iter_2.caffemodel"), File("right"));
  std::filesystem::copy(File("run_iter_2.caffemodel"), File("kept/run_iter_2.caffemodel"));
  std::filesystem::remove(File("run_iter_2.caffemodel"));
  std::filesystem::rename(File("right"), File("run_iter_2.caffemodel"));
  MakeSolver<float>(param)->Restore(state.c_str());
  std::filesystem::remove(File("run_iter_2.caffemodel"));
  EXPECT_ERROR(MakeSolver<float>(param)->Restore(state.c_str()),
               File("kept/run_iter_2.caffemodel") + ": is damaged, or not the one that belongs");
}

// The loss of the final weights, which `display` asks for, moves running statistics.
TEST_F(SolverTest, TheLastTestIsThatOfTheSnapshot) {
  vector<string> losses;
  for (const string display : {"display: 0", "display: 4"}) {
    SolverParameter param = Snapshotting(
        "max_iter: 4 test_iter: 2 test_interval: 4 test_initialization: false "
        "base_lr: 0.01 " +
        display);
    NetParameter* net = param.mutable_net_param();
    for (LayerParameter& layer : *net->mutable_layer()) {
      if (layer.name() != "drop") continue;
      layer.set_type("BatchNorm");
      layer.mutable_batch_norm_param()->set_moving_average_fraction(0.5);
    }
    ::testing::internal::CaptureStderr();
    const auto solver = MakeSolver<float>(param);
    solver->Solve();
    const string log = ::testing::internal::GetCapturedStderr();
    const size_t at = log.find("Test net output #0");
    ASSERT_NE(at, string::npos) << log;
    losses.push_back(log.substr(at, log.find('\n', at) - at));
  }
  EXPECT_EQ(losses[0], losses[1]);
}

TEST_F(SolverTest, LossThatIsNotFiniteLeavesTheWeights) {
  const auto solver = MakeSolver<float>(SolverText("base_lr: 1e30"));
  Blob<float> before;
  string error;
  for (int i = 0; i < 10 && error.empty(); ++i) {
    before.CopyFrom(*solver->net()->learnable_params()[0], false, true);
    error = ErrorOf([&] { solver->Step(1); });
  }
  EXPECT_NE(error.find("iteration " + std::to_string(solver->iter()) + ": loss is "), string::npos)
      << error;
  EXPECT_NE(error.find("from layer 'loss' (EuclideanLoss)"), string::npos) << error;
  ASSERT_FALSE(error.empty());
  for (int i = 0; i < before.count(); ++i) {
    const float now = solver->net()->learnable_params()[0]->cpu_data()[i];
    EXPECT_EQ(std::memcmp(&now, before.cpu_data() + i, sizeof now), 0);
  }
}

TEST_F(SolverTest, IterSizeIsALargerBatch) {
  // The same constant data in every batch: adding up 3 of them and dividing by 3 changes nothing.
  const string data = R"(train_net_param {
      layer { name: "data" type: "DummyData" top: "x" top: "t"
              dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 dim: 1 }
                                 data_filler { value: 0.5 } data_filler { value: 2 } } }
      layer { name: "fc" type: "InnerProduct" bottom: "x" top: "y"
              inner_product_param { num_output: 1 } }
      layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" } } base_lr: 0.1)";
  for (const char* more : {"", " iter_size: 3"}) {
    SolverParameter param = SolverText(data + more);
    param.clear_net_param();
    const auto solver = MakeSolver<double>(param);
    solver->Step(1);
    // y = 0, so that dL/dy summed over the batch is -2: dL/dw = -1, dL/db = -2.
    const auto& params = solver->net()->learnable_params();
    for (int i = 0; i < 3; ++i) EXPECT_NEAR(params[0]->cpu_data()[i], 0.1, 1e-8) << more;
    EXPECT_NEAR(params[1]->cpu_data()[0], 0.2, 1e-8) << more;
  }
}

TEST_F(SolverTest, StatesAndWeights) {
  const SolverParameter param = Snapshotting("snapshot: 1 base_lr: 0.5");
  const auto first = MakeSolver<float>(param);
  first->Step(1);
  const auto second = MakeSolver<float>(
      SolverText("random_seed: 5 weights: '" + File("run_iter_1.caffemodel") + "'"));
  ExpectBitwiseEqual(*first->net()->learnable_params()[0], *second->net()->learnable_params()[0],
                     "weights");
  SolverParameter staged = SolverText("train_state { stage: 'extra' }");
  LayerParameter* layer = staged.mutable_net_param()->add_layer();
  *layer = LayerFromText("name: 'quiet' type: 'Silence' bottom: 'h1' include { stage: 'extra' }");
  EXPECT_TRUE(MakeSolver<float>(staged)->net()->has_layer("quiet"));
  staged.clear_train_state();
  EXPECT_FALSE(MakeSolver<float>(staged)->net()->has_layer("quiet"));
}

}  // namespace testing
}  // namespace caffe

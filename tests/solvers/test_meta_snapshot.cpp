#include <chrono>
#include <fstream>
#include <limits>

#include "solvers/meta_solver_fixture.hpp"

namespace caffe {
namespace meta_testing {
namespace {

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

TEST_F(MetaSolverTest, WithNothingLeftToDoTheSnapshotStays) {
  MetaSolver<float> first(Definition());
  EXPECT_TRUE(first.Solve());
  const auto written = [this] {
    return std::filesystem::last_write_time(Path("run_iter_6.metastate"));
  };
  std::filesystem::last_write_time(Path("run_iter_6.metastate"), written() - std::chrono::hours(1));
  const auto before = written();
  MetaSolverParameter param = Definition();
  param.set_random_seed(9);
  param.set_max_iter(4);
  EXPECT_TRUE(MetaSolver<float>(param).Solve(Path("run_iter_6.metastate")));
  EXPECT_EQ(written(), before);
  // Under another prefix they are not there yet.
  param.set_snapshot_prefix(Path("copy"));
  MetaSolver<float>(param).Solve(Path("run_iter_6.metastate"));
  EXPECT_TRUE(std::filesystem::exists(Path("copy_iter_6.metastate")));
  EXPECT_TRUE(std::filesystem::exists(Path("copy_phi_iter_6.caffemodel")));
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

TEST_F(MetaSolverTest, DivergedWeightsReplaceNoSnapshot) {
  MetaSolverParameter param = Definition();
  param.set_snapshot_keep(1);
  MetaSolver<float> solver(param);
  solver.Step(1);
  solver.Snapshot();
  solver.Step(1);
  Blob<float>* theta = solver.tasks()[1]->theta_net().learnable_params()[0];
  theta->mutable_cpu_data()[0] = std::numeric_limits<float>::infinity();
  ExpectError([&] { solver.Snapshot(); },
              {"meta-iteration 2: the training has diverged", "layer 'conv' of task 'b'", "inf"});
  EXPECT_TRUE(std::filesystem::exists(Path("run_iter_1.metastate")));
  EXPECT_TRUE(std::filesystem::exists(Path("run_phi_iter_1.caffemodel")));
  EXPECT_FALSE(std::filesystem::exists(Path("run_iter_2.metastate")));
  EXPECT_FALSE(std::filesystem::exists(Path("run_phi_iter_2.caffemodel")));
  EXPECT_FALSE(std::filesystem::exists(Path("run_iter_2.metastate.tmp")));
}

TEST_F(MetaSolverTest, StopTakesASnapshot) {
  MetaSolver<float> solver(Definition());
  solver.SetActionFunction(
      [&] { return solver.iter() == 2 ? SolverAction::STOP : SolverAction::NONE; });
  EXPECT_FALSE(solver.Solve());
  EXPECT_EQ(solver.iter(), 2);
  EXPECT_TRUE(std::filesystem::exists(Path("run_iter_2.metastate")));
  MetaSolver<float> at_the_end(Definition());  // another run is not to follow
  at_the_end.SetActionFunction(
      [&] { return at_the_end.iter() == 6 ? SolverAction::STOP : SolverAction::NONE; });
  EXPECT_FALSE(at_the_end.Solve());
  EXPECT_EQ(at_the_end.iter(), 6);
}

TEST_F(MetaSolverTest, FewerLossesAreAveragedAfterARestart) {
  MetaSolverParameter param = Definition();
  param.set_average_loss(4);
  MetaSolver<float> long_mean(param);
  long_mean.Step(4);
  long_mean.Snapshot();
  param.set_average_loss(1);
  param.set_display(1);
  param.set_csv(Path("resumed.csv"));
  MetaSolver<float>(param).Solve(Path("run_iter_4.metastate"));
  param.set_csv(Path("straight.csv"));
  MetaSolver<float>(param).Solve();
  const auto last_line = [this](const char* name) {
    std::ifstream file(Path(name));
    string line, last;
    while (std::getline(file, line)) last = line;
    return last;
  };
  EXPECT_EQ(last_line("resumed.csv").substr(0, 2), "5,");
  EXPECT_EQ(last_line("resumed.csv"), last_line("straight.csv"));
}

}  // namespace
}  // namespace meta_testing
}  // namespace caffe

// What the solvers' own tests (solver_test.hpp) and test_solver.cpp leave of
// caffe/solver_snapshot.cpp: disks and files that fail.
#include "caffe/solvers/solver_test.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace testing {
namespace {

class SolverSnapshotTest : public TempDirTest {
 protected:
  std::unique_ptr<SGDSolver<float>> Make(const string& text = "") {
    SolverParameter param = SolverText(text);
    if (!param.has_snapshot_prefix()) param.set_snapshot_prefix(Path("run"));
    return MakeSolver<float>(param);
  }
  int Files() const {
    return static_cast<int>(std::distance(std::filesystem::directory_iterator(directory_), {}));
  }
};

TEST_F(SolverSnapshotTest, FullDiskLeavesWhatThereIs) {
  const auto solver = Make();
  solver->Snapshot();
  const string model = "run_iter_0.caffemodel", state = "run_iter_0.solverstate";
  const string old_model = Read(model), old_state = Read(state);
  ASSERT_GT(old_model.size(), 200u);
  solver->net()->learnable_params()[0]->mutable_cpu_data()[0] = 42;
  {
    const FullDisk full(100);
    EXPECT_ERROR(solver->Snapshot(), Path(model) + ": cannot be written: File too large");
  }
  EXPECT_EQ(Read(model), old_model);
  EXPECT_EQ(Read(state), old_state);
  EXPECT_EQ(Files(), 2);
  // With space again, training and snapshots go on.
  solver->Snapshot();
  EXPECT_NE(Read(model), old_model);
}

// There is room for the weights, but not for the larger state: the old state stays whole.
TEST_F(SolverSnapshotTest, FullDiskAtTheState) {
  const auto solver = Make("type: 'Adam'");
  solver->Snapshot();
  const string model = "run_iter_0.caffemodel", state = "run_iter_0.solverstate";
  const string old_state = Read(state);
  const rlim_t room = Read(model).size();
  ASSERT_LT(room, old_state.size());
  std::filesystem::remove(Path(model));
  {
    const FullDisk full(room);
    EXPECT_ERROR(solver->Snapshot(), Path(state) + ": cannot be written: File too large");
  }
  EXPECT_TRUE(Exists(model));
  EXPECT_EQ(Read(state), old_state);
  EXPECT_EQ(Files(), 2);
}

TEST_F(SolverSnapshotTest, UnwritablePrefixIsFoundFirst) {
  Write("file", "");
  const string prefix = " snapshot_prefix: '" + Path("file/run") + "'";
  EXPECT_ERROR(Make("snapshot: 1" + prefix), Path("file/run") + "' cannot be written: Not a dir");
  EXPECT_ERROR(Make("snapshot_after_train: true" + prefix), "cannot be written");
  // Found before the net, which may take long to build.
  EXPECT_ERROR(Make("snapshot: 1 net: '/no/such/net.prototxt'" + prefix), "cannot be written");
  // No snapshot is asked for.
  EXPECT_EQ(ErrorOf([&] { Make("snapshot_after_train: false" + prefix); }), "");
}

TEST_F(SolverSnapshotTest, LookingLeavesNoFile) {
  Make("snapshot: 1");
  EXPECT_EQ(Files(), 0);
  Write("run.probe", "the user's");
  Make("snapshot: 1");
  EXPECT_EQ(Files(), 1);
  EXPECT_EQ(Read("run.probe"), "the user's");
  const string long_name(240, 'x');  // which "_iter_..." makes too long
  EXPECT_ERROR(Make("snapshot: 1 snapshot_prefix: '" + Path(long_name) + "'"), "name too long");
}

TEST_F(SolverSnapshotTest, DivergedWeightsReplaceNoSnapshot) {
  const auto solver = Make();
  solver->set_snapshot_keep(1);
  solver->Step(1);
  solver->Snapshot();
  solver->Step(1);
  solver->net()->learnable_params()[0]->mutable_cpu_data()[0] =
      std::numeric_limits<float>::infinity();
  EXPECT_ERROR(solver->Snapshot(),
               "iteration 2: the training has diverged: a value of parameter 0");
  EXPECT_TRUE(Exists("run_iter_1.solverstate") && Exists("run_iter_1.caffemodel"));
  EXPECT_EQ(Files(), 2);
}

TEST_F(SolverSnapshotTest, DamagedWeights) {
  const auto solver = Make();
  solver->Step(3);
  solver->Snapshot();
  const string bytes = Read("run_iter_3.caffemodel");
  const auto resumed = Make();
  for (const size_t size : {bytes.size() - 1, bytes.size() / 2, size_t(7)}) {
    const string model = Write("run_iter_3.caffemodel", bytes.substr(0, size));
    EXPECT_ERROR(resumed->Restore(Path("run_iter_3.solverstate").c_str()), model);
    EXPECT_EQ(resumed->iter(), 0) << size;
  }
  EXPECT_ERROR(resumed->Restore(Path("run_iter_3.caffemodel").c_str()),
               Path("run_iter_3.caffemodel"));
  Write("run_iter_3.caffemodel", bytes);
  resumed->Restore(Path("run_iter_3.solverstate").c_str());
  EXPECT_EQ(resumed->iter(), 3);
}

TEST_F(SolverSnapshotTest, DamagedState) {
  const auto solver = Make("momentum: 0.5");
  solver->Step(1);
  solver->Snapshot();
  const string bytes = Read("run_iter_1.solverstate");
  const auto resumed = Make("momentum: 0.5");
  for (size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / 40) {
    const string state = Write("cut.solverstate", bytes.substr(0, size));
    EXPECT_ERROR(resumed->Restore(state.c_str()), state);
  }
  EXPECT_EQ(resumed->iter(), 0);
}

TEST_F(SolverSnapshotTest, GradientsOnDemand) {
  for (const bool wanted : {false, true}) {
    const auto solver = Make(wanted ? "snapshot_diff: true" : "");
    solver->Step(1);
    solver->Snapshot();
    NetParameter net;
    ReadProtoFromBinaryFile(Path("run_iter_1.caffemodel"), &net);
    ASSERT_EQ(net.layer(1).name(), "fc1");
    EXPECT_EQ(net.layer(1).blobs(0).diff_size(), wanted ? 30 : 0);
  }
}

}  // namespace
}  // namespace testing
}  // namespace caffe

#include "caffe/util/device.hpp"
#include "solvers/meta_solver_fixture.hpp"

namespace caffe {
namespace meta_testing {
namespace {

class MetaSolverGpu : public MetaSolverTest {
 protected:
  void SetUp() override {
    string why_not;
    if (!Device::IsThere(&why_not)) GTEST_SKIP() << why_not;
  }
  void TearDown() override { Caffe::set_mode(Caffe::CPU); }

  // phi after six steps.
  vector<double> Train(Caffe::Brew mode, const MetaSolverParameter& param, int tasks_at_once) {
    Caffe::set_mode(mode);
    MetaParallelism how;
    how.tasks_at_once = tasks_at_once;
    MetaSolver<double> solver(param, how);
    solver.Step(6);
    return Values(solver.phi());
  }
  void ExpectSame(const MetaSolverParameter& param, int tasks_at_once, double tolerance) {
    const vector<double> cpu = Train(Caffe::CPU, param, tasks_at_once);
    const vector<double> gpu = Train(Caffe::GPU, param, tasks_at_once);
    ASSERT_EQ(cpu.size(), gpu.size());
    double change = 0;
    for (size_t i = 0; i < cpu.size(); ++i) {
      EXPECT_NEAR(cpu[i], gpu[i], tolerance) << i;
      change += std::fabs(cpu[i]);
    }
    EXPECT_GT(change, 0);
  }
};

TEST_F(MetaSolverGpu, PhiEqualsThatOfTheCpu) {
  ExpectSame(Definition(), 1, 1e-11);
  // Adam divides by the size of the gradient, where that is tiny, too.
  const string adam =
      "base_lr: 0.01 lr_policy: 'fixed' type: 'Adam' momentum: 0.9 momentum2: 0.999 "
      "weight_decay: 0.001";
  ExpectSame(Definition(adam, adam), 1, 1e-6);
}

TEST_F(MetaSolverGpu, TasksInSeveralThreadsShareTheGpu) {
  ExpectSame(Definition(), 2, 1e-11);
}

}  // namespace
}  // namespace meta_testing
}  // namespace caffe

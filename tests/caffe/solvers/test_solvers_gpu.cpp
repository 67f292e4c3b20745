// The solvers in GPU mode: the weights are those of CPU mode, and the updates are made on the
// device.
#include "caffe/solvers/solver_test.hpp"
#include "testing/gpu_util.hpp"

namespace caffe {
namespace testing {
namespace {

const char* const kSolvers[] = {"type: 'SGD' momentum: 0.9",
                                "type: 'SGD'",
                                "type: 'Nesterov' momentum: 0.9",
                                "type: 'AdaGrad' delta: 0.01",
                                "type: 'RMSProp' rms_decay: 0.8 delta: 0.01",
                                "type: 'AdaDelta' momentum: 0.9 delta: 0.01",
                                "type: 'Adam' momentum: 0.9 momentum2: 0.99 delta: 0.001"};

const char* const kSettings[] = {"",
                                 "weight_decay: 0.3",
                                 "weight_decay: 0.2 regularization_type: 'L1'",
                                 "iter_size: 3",
                                 "clip_gradients: 0.05 iter_size: 2 weight_decay: 0.1",
                                 "regularization_type: 'L2-SP' l2_sp_decay: 0.4 weight_decay: 0.1"};

template <typename Dtype>
void ExpectOnGpu(SGDSolver<Dtype>* solver) {
  const Net<Dtype>& net = *solver->net();
  const auto& history = solver->history();
  const auto& params = net.learnable_params();
  for (size_t i = 0; i < params.size(); ++i) {
    // What does not learn is read alone: other threads may share it.
    const auto written = net.params_lr()[i] == 0 ? SyncedMemory::SYNCED : SyncedMemory::HEAD_AT_GPU;
    EXPECT_EQ(written, params[i]->data()->head()) << "parameter " << i;
    EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, params[i]->diff()->head()) << "gradient " << i;
  }
  for (size_t i = 0; i < history.size(); ++i) {
    if (net.params_lr()[i % params.size()] == 0) continue;
    EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, history[i]->data()->head()) << "history " << i;
  }
}

// Parameters and history after some iterations in the mode in force.
template <typename Dtype>
std::vector<std::vector<Dtype>> Train(const std::unique_ptr<SGDSolver<Dtype>>& solver) {
  solver->Step(4);
  if (Caffe::mode() == Caffe::GPU) ExpectOnGpu(solver.get());
  std::vector<std::vector<Dtype>> values;
  for (const Blob<Dtype>* blob : solver->net()->learnable_params()) {
    values.emplace_back(blob->cpu_data(), blob->cpu_data() + blob->count());
  }
  for (const auto& blob : solver->history()) {
    values.emplace_back(blob->cpu_data(), blob->cpu_data() + blob->count());
  }
  return values;
}

class SolversGpu : public GpuTest {
 protected:
  SolversGpu() { MakeTempDir(&directory_); }
  ~SolversGpu() override { std::filesystem::remove_all(directory_); }

  template <typename Dtype>
  void ExpectEqualsTheCpu(double tolerance) const {
    for (const std::string solver : kSolvers) {
      for (const std::string settings : kSettings) {
        SCOPED_TRACE(solver + " " + settings);
        const SolverParameter param = SolverText(solver + " " + settings, directory_);
        const auto cpu = Train<Dtype>(MakeSolver<Dtype>(param));
        const GpuMode mode;
        const auto gpu = Train<Dtype>(MakeSolver<Dtype>(param));
        ASSERT_EQ(cpu.size(), gpu.size());
        for (size_t i = 0; i < cpu.size(); ++i) {
          ASSERT_EQ(cpu[i].size(), gpu[i].size());
          EXPECT_LT(RelativeError(gpu[i].data(), cpu[i].data(), static_cast<int>(cpu[i].size())),
                    tolerance)
              << "parameter or history " << i;
        }
      }
    }
  }

  std::string directory_;
};

TEST_F(SolversGpu, EqualTheCpu) {
  ExpectEqualsTheCpu<double>(1e-9);
}

TEST_F(SolversGpu, EqualTheCpuInFloat) {
  ExpectEqualsTheCpu<float>(1e-3);
}

TEST_F(SolversGpu, ASubclassMayWorkOnTheGradientAfterOurs) {
  const SolverParameter param = SolverText("type: 'SGD' momentum: 0.9", directory_);
  const auto make = [&] {
    return std::unique_ptr<SGDSolver<double>>(new HalfStepsSolver<double>(param));
  };
  const auto cpu = Train<double>(make());
  const GpuMode mode;
  const auto gpu = Train<double>(make());
  ASSERT_EQ(cpu.size(), gpu.size());
  for (size_t i = 0; i < cpu.size(); ++i) {
    EXPECT_LT(RelativeError(gpu[i].data(), cpu[i].data(), static_cast<int>(cpu[i].size())), 1e-9)
        << "parameter or history " << i;
  }
}

TEST_F(SolversGpu, Resume) {
  const GpuMode mode;
  CheckResume<double>("type: 'Adam' momentum: 0.9 momentum2: 0.99");
  CheckResume<float>("type: 'SGD' momentum: 0.9");
}

}  // namespace
}  // namespace testing
}  // namespace caffe

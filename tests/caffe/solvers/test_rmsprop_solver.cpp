#include "caffe/solvers/solver_test.hpp"

namespace caffe {
namespace testing {

template <typename Dtype>
class RMSPropSolverTest : public ::testing::Test {};
TYPED_TEST_SUITE(RMSPropSolverTest, NumberTypes);

TYPED_TEST(RMSPropSolverTest, Updates) {
  const double decay = 0.8f;
  CheckUpdatesInAllSettings<TypeParam>("type: 'RMSProp' rms_decay: 0.8 delta: 0.01",
                                       [=](double g, double r, int, double* m) {
                                         m[0] = decay * m[0] + (1 - decay) * g * g;
                                         return r * g / (std::sqrt(m[0]) + double(0.01f));
                                       });
}

TYPED_TEST(RMSPropSolverTest, Resumes) {
  CheckResume<TypeParam>("type: 'RMSProp' rms_decay: 0.8");
}

TEST(RMSPropSolverErrors, MomentumAndDecay) {
  EXPECT_ERROR(MakeSolver<float>(SolverText("type: 'RMSProp' momentum: 0.5")),
               "RMSProp takes no momentum, but it is 0.5");
  EXPECT_ERROR(MakeSolver<float>(SolverText("type: 'RMSProp' rms_decay: 1")), "rms_decay is 1");
}

}  // namespace testing
}  // namespace caffe

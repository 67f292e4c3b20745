#include "caffe/solvers/solver_test.hpp"

namespace caffe {
namespace testing {

template <typename Dtype>
class AdaGradSolverTest : public ::testing::Test {};
TYPED_TEST_SUITE(AdaGradSolverTest, NumberTypes);

TYPED_TEST(AdaGradSolverTest, Updates) {
  CheckUpdatesInAllSettings<TypeParam>("type: 'AdaGrad' delta: 0.01",
                                       [](double g, double r, int, double* m) {
                                         m[0] += g * g;
                                         return r * g / (std::sqrt(m[0]) + double(0.01f));
                                       });
}

TYPED_TEST(AdaGradSolverTest, Resumes) {
  CheckResume<TypeParam>("type: 'AdaGrad'");
}

TEST(AdaGradSolverErrors, Momentum) {
  EXPECT_ERROR(MakeSolver<float>(SolverText("type: 'AdaGrad' momentum: 0.5")),
               "AdaGrad takes no momentum, but it is 0.5");
}

}  // namespace testing
}  // namespace caffe

#include "caffe/solvers/solver_test.hpp"

namespace caffe {
namespace testing {

template <typename Dtype>
class AdamSolverTest : public ::testing::Test {};
TYPED_TEST_SUITE(AdamSolverTest, NumberTypes);

TYPED_TEST(AdamSolverTest, Updates) {
  const double b1 = 0.9f, b2 = 0.99f, delta = 0.001f;
  CheckUpdatesInAllSettings<TypeParam>("type: 'Adam' momentum: 0.9 momentum2: 0.99 delta: 0.001",
                                       [=](double g, double r, int t, double* m) {
                                         m[0] = b1 * m[0] + (1 - b1) * g;
                                         m[1] = b2 * m[1] + (1 - b2) * g * g;
                                         const double correction =
                                             std::sqrt(1 - std::pow(b2, t)) / (1 - std::pow(b1, t));
                                         return r * correction * m[0] / (std::sqrt(m[1]) + delta);
                                       });
}

TYPED_TEST(AdamSolverTest, Resumes) {
  CheckResume<TypeParam>("type: 'Adam' momentum: 0.9 momentum2: 0.99");
}

}  // namespace testing
}  // namespace caffe

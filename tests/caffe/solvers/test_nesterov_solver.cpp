#include "caffe/solvers/solver_test.hpp"

namespace caffe {
namespace testing {

template <typename Dtype>
class NesterovSolverTest : public ::testing::Test {};
TYPED_TEST_SUITE(NesterovSolverTest, NumberTypes);

TYPED_TEST(NesterovSolverTest, Updates) {
  const double momentum = 0.9f;
  CheckUpdatesInAllSettings<TypeParam>("type: 'Nesterov' momentum: 0.9",
                                       [=](double g, double r, int, double* m) {
                                         const double before = m[0];
                                         m[0] = momentum * before + r * g;
                                         return m[0] + momentum * (m[0] - before);
                                       });
}

TYPED_TEST(NesterovSolverTest, Resumes) {
  CheckResume<TypeParam>("type: 'Nesterov' momentum: 0.9");
}

}  // namespace testing
}  // namespace caffe

#include "caffe/solvers/solver_test.hpp"

namespace caffe {
namespace testing {

template <typename Dtype>
class SGDSolverTest : public ::testing::Test {};
TYPED_TEST_SUITE(SGDSolverTest, NumberTypes);

TYPED_TEST(SGDSolverTest, Updates) {
  const double momentum = 0.9f;
  const UpdateRule rule = [=](double g, double r, int, double* m) {
    return m[0] = momentum * m[0] + r * g;
  };
  CheckUpdatesInAllSettings<TypeParam>("type: 'SGD' momentum: 0.9", rule);
  CheckUpdates<TypeParam>("type: 'SGD'", [](double g, double r, int, double*) { return r * g; });
}

TYPED_TEST(SGDSolverTest, Resumes) {
  CheckResume<TypeParam>("type: 'SGD' momentum: 0.9");
}

}  // namespace testing
}  // namespace caffe

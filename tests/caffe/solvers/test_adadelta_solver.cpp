#include "caffe/solvers/solver_test.hpp"

namespace caffe {
namespace testing {

template <typename Dtype>
class AdaDeltaSolverTest : public ::testing::Test {};
TYPED_TEST_SUITE(AdaDeltaSolverTest, NumberTypes);

TYPED_TEST(AdaDeltaSolverTest, Updates) {
  const double mu = 0.9f, delta = 0.01f;
  CheckUpdatesInAllSettings<TypeParam>(
      "type: 'AdaDelta' momentum: 0.9 delta: 0.01", [=](double g, double r, int, double* m) {
        m[0] = mu * m[0] + (1 - mu) * g * g;
        const double step = std::sqrt(m[1] + delta) / std::sqrt(m[0] + delta) * g;
        m[1] = mu * m[1] + (1 - mu) * step * step;
        return r * step;
      });
}

TYPED_TEST(AdaDeltaSolverTest, Resumes) {
  CheckResume<TypeParam>("type: 'AdaDelta' momentum: 0.9");
}

}  // namespace testing
}  // namespace caffe

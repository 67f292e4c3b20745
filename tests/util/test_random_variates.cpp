#include "util/random_variates.hpp"

#include <gtest/gtest.h>

#include "util/philox.hpp"

namespace caffe {
namespace {

TEST(RandomVariates, Normal) {
  PhiloxEngine random(1);
  const int n = 20000;
  double sum = 0, squares = 0, beyond = 0;
  for (int i = 0; i < n; ++i) {
    const double x = NormalVariate(&random);
    sum += x;
    squares += x * x;
    beyond += std::fabs(x) > 2;
  }
  EXPECT_NEAR(0, sum / n, 0.036);
  EXPECT_NEAR(1, squares / n, 0.05);
  EXPECT_NEAR(0.0455, beyond / n, 0.0075);
}

// Gamma(a, 1) has mean a and variance a.
TEST(RandomVariates, Gamma) {
  for (const double shape : {0.3, 1.0, 4.5}) {
    PhiloxEngine random(2);
    const int n = 20000;
    double sum = 0, squares = 0;
    for (int i = 0; i < n; ++i) {
      const double x = std::exp(LogGammaVariate(shape, &random));
      sum += x;
      squares += x * x;
    }
    const double mean = sum / n;
    EXPECT_NEAR(shape, mean, 5 * std::sqrt(shape / n)) << shape;
    // The variance of the sample's variance is (mu4 - sigma^4) / n, mu4 = 3 a^2 + 6 a.
    const double deviation = std::sqrt((2 * shape * shape + 6 * shape) / n);
    EXPECT_NEAR(shape, squares / n - mean * mean, 5 * deviation) << shape;
  }
}

// Beta(a, b) has mean a / (a + b) and variance a b / ((a + b)^2 (a + b + 1)).
TEST(RandomVariates, Beta) {
  PhiloxEngine random(3);
  const double a = 2, b = 5;
  const int n = 20000;
  double sum = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    const double x = BetaVariate(a, b, &random);
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(2.0 / 7, sum / n, 0.006);
  EXPECT_NEAR(10.0 / (49 * 8), squares / n - sum / n * sum / n, 0.0015);
}

TEST(RandomVariates, TinyBetaParameters) {
  PhiloxEngine random(4);
  int ends = 0;
  for (int i = 0; i < 1000; ++i) {
    const double x = BetaVariate(1e-3, 1e-3, &random);
    ASSERT_TRUE(x >= 0 && x <= 1) << x;
    ends += x < 0.01 || x > 0.99;
  }
  EXPECT_GT(ends, 950);
}

TEST(RandomVariates, UniformBelow) {
  PhiloxEngine random(5);
  int counts[3] = {};
  for (int i = 0; i < 3000; ++i) ++counts[UniformBelow(3, &random)];
  for (const int count : counts) EXPECT_NEAR(1000, count, 130);
}

}  // namespace
}  // namespace caffe

#include "caffe/common.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "caffe/util/rng.hpp"
#include "testing/blob_util.hpp"

namespace caffe {
namespace {

TEST(Common, SeedRepeatsTheStream) {
  Caffe::set_random_seed(5);
  EXPECT_EQ(5u, Caffe::random_seed());
  const uint32_t first = (*caffe_rng())(), second = (*caffe_rng())();
  EXPECT_NE(first, second);
  Caffe::set_random_seed(5);
  EXPECT_EQ(first, (*caffe_rng())());
  EXPECT_EQ(second, (*caffe_rng())());
  Caffe::set_random_seed(6);
  EXPECT_NE(first, (*caffe_rng())());
}

TEST(Common, SettingsAreTheThreadsOwn) {
  Caffe::set_random_seed(5);
  Caffe::set_solver_rank(2);
  EXPECT_FALSE(Caffe::root_solver());
  std::thread([] {
    EXPECT_TRUE(Caffe::root_solver());
    Caffe::set_random_seed(77);
  }).join();
  EXPECT_EQ(5u, Caffe::random_seed());
  Caffe::set_solver_rank(0);
  EXPECT_TRUE(Caffe::root_solver());
}

TEST(Common, ShufflePermutes) {
  Caffe::set_random_seed(5);
  std::vector<int> values(100), sorted(100);
  for (int i = 0; i < 100; ++i) values[i] = sorted[i] = i;
  shuffle(values.begin(), values.end());
  EXPECT_NE(sorted, values);
  std::vector<int> again = sorted;
  Caffe::set_random_seed(5);
  shuffle(again.begin(), again.end());
  EXPECT_EQ(values, again);
  std::sort(values.begin(), values.end());
  EXPECT_EQ(sorted, values);
}

TEST(Common, UniformBelowReachesEveryValueEqually) {
  rng_t gen(3);
  std::vector<int> seen(6, 0);
  for (int i = 0; i < 60000; ++i) ++seen[UniformBelow(6, &gen)];
  // Five standard deviations.
  for (int count : seen) EXPECT_NEAR(10000, count, 5 * std::sqrt(60000 * 5 / 36.0));
  EXPECT_EQ(0u, UniformBelow(1, &gen));
}

TEST(Error, CarriesItsMessage) {
  const int value = 3;
  EXPECT_ERROR(ENFORCE(value < 3) << "value is " << value, "value is 3");
  EXPECT_ERROR(THROW_ERROR << "always", "always");
  EXPECT_NO_THROW(ENFORCE(value == 3) << "not evaluated");
}

// ENFORCE is one expression: it neither takes an else nor evaluates its message in vain.
TEST(Error, EnforceIsAnExpression) {
  int evaluated = 0;
  if (evaluated == 0)
    ENFORCE(true) << ++evaluated;
  else
    ADD_FAILURE();
  EXPECT_EQ(0, evaluated);
}

}  // namespace
}  // namespace caffe

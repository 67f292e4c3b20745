#include "solvers/phi_score.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace caffe {
namespace {

TEST(PhiScoreTest, IsBetterThan) {
  const auto better = [](bool rises, double one, double other) {
    return PhiScore{"", rises, one}.IsBetterThan({"", rises, other});
  };
  EXPECT_TRUE(better(true, 0.8, 0.7));
  EXPECT_FALSE(better(true, 0.7, 0.8));
  EXPECT_TRUE(better(false, 0.7, 0.8));
  EXPECT_FALSE(better(false, 0.8, 0.7));
  EXPECT_FALSE(better(true, 0.7, 0.7));
  EXPECT_FALSE(better(true, 0.7 + 1e-9, 0.7));  // of rounding
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
        -std::numeric_limits<double>::infinity()}) {
    EXPECT_TRUE(better(false, 0.7, bad));
    EXPECT_TRUE(better(true, 0.7, bad));
    EXPECT_FALSE(better(false, bad, 0.7));
    EXPECT_FALSE(better(true, bad, 0.7));
    EXPECT_FALSE(better(false, bad, bad));
  }
}

}  // namespace
}  // namespace caffe

#include "util/prediction_scores.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "util/error.hpp"

namespace caffe {
namespace {

TEST(PredictionScores, ByHand) {
  PredictionScores scores(5);
  const double a[] = {0.7, 0.2, 0.1}, b[] = {0.1, 0.1, 0.8}, c[] = {0.05, 0.75, 0.2},
               d[] = {0.3, 0.3, 0.4}, e[] = {0, 0, 1};
  scores.Add(a, 3, 0);
  scores.Add(b, 3, 2);
  scores.Add(c, 3, 0);
  scores.Add(d, 3, 1);
  scores.Add(e, 3, 2);
  EXPECT_EQ(scores.count(), 5);
  EXPECT_DOUBLE_EQ(scores.accuracy(), 0.6);
  EXPECT_DOUBLE_EQ(scores.accuracy_error(), std::sqrt(0.6 * 0.4 / 5));
  EXPECT_NEAR(scores.negative_log_likelihood(),
              -(std::log(0.7) + std::log(0.8) + std::log(0.05) + std::log(0.3)) / 5, 1e-12);
  const auto bins = scores.bins();
  ASSERT_EQ(bins.size(), 5u);
  EXPECT_EQ(bins[0].count, 0);
  EXPECT_EQ(bins[2].count, 1);  // 0.4 to 0.6
  EXPECT_DOUBLE_EQ(bins[2].accuracy, 0);
  EXPECT_EQ(bins[3].count, 2);
  EXPECT_DOUBLE_EQ(bins[3].confidence, 0.725);
  EXPECT_DOUBLE_EQ(bins[3].accuracy, 0.5);
  EXPECT_EQ(bins[4].count, 2);  // 1 belongs to the last
  EXPECT_NEAR(scores.calibration_error(), (0.4 + 2 * 0.225 + 2 * 0.1) / 5, 1e-12);
}

TEST(PredictionScores, PerfectAndEmpty) {
  PredictionScores scores;
  EXPECT_EQ(scores.accuracy(), 0);
  EXPECT_EQ(scores.calibration_error(), 0);
  const double sure[] = {0, 1};
  for (int i = 0; i < 3; ++i) scores.Add(sure, 2, 1);
  EXPECT_EQ(scores.accuracy(), 1);
  EXPECT_EQ(scores.negative_log_likelihood(), 0);
  EXPECT_EQ(scores.calibration_error(), 0);
  scores.Add(sure, 2, 0);
  EXPECT_NEAR(scores.negative_log_likelihood(), 38 * std::log(10) / 4, 1e-9);
}

TEST(PredictionScores, LabelsOutsideTheClasses) {
  PredictionScores scores;
  const double p[] = {0.5, 0.5};
  EXPECT_THROW(scores.Add(p, 2, 2), Error);
  EXPECT_THROW(scores.Add(p, 2, -1), Error);
}

TEST(PredictionScores, PredictionsThatAreNotFinite) {
  PredictionScores scores;
  const double good[] = {0.5, 0.5}, bad[] = {NAN, 0.5};
  scores.Add(good, 2, 0);
  EXPECT_THROW(scores.Add(bad, 2, 1), Error);
  EXPECT_EQ(scores.count(), 1);
}

}  // namespace
}  // namespace caffe

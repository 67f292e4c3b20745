#include "util/progress.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <regex>

namespace caffe {
namespace {

// The rate and the time left depend on the clock, which needs one tick for there to be any.
std::string LineAfterATick(const Progress& progress, int done) {
  const auto now = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() == now) {
  }
  return progress.Line(done);
}

TEST(FormatDuration, RoundsAndPicksTheUnits) {
  EXPECT_EQ("0 s", FormatDuration(-3));
  EXPECT_EQ("0 s", FormatDuration(0.4));
  EXPECT_EQ("45 s", FormatDuration(44.6));
  EXPECT_EQ("59 s", FormatDuration(59.4));
  EXPECT_EQ("1 min 0 s", FormatDuration(59.6));
  EXPECT_EQ("3 min 20 s", FormatDuration(200));
  EXPECT_EQ("59 min 59 s", FormatDuration(3599));
  EXPECT_EQ("1 h 0 min", FormatDuration(3599.6));
  EXPECT_EQ("2 h 5 min", FormatDuration(2 * 3600 + 5 * 60 + 59));
  EXPECT_EQ("50 h 0 min", FormatDuration(180000));
}

TEST(Progress, LineGivesShareRateAndTimeLeft) {
  Progress progress;
  progress.Start(0, 200, 32);
  const std::string line = LineAfterATick(progress, 25);
  EXPECT_TRUE(std::regex_match(
      line, std::regex("12% \\| [0-9.]+(e\\+[0-9]+)? images/s \\| [0-9a-z ]+ left")))
      << line;
}

TEST(Progress, LineWithoutImages) {
  Progress progress;
  progress.Start(0, 2000000000, 0);
  const std::string line = LineAfterATick(progress, 1500000000);
  EXPECT_TRUE(std::regex_match(line, std::regex("75% \\| [0-9a-z ]+ left"))) << line;
}

TEST(Progress, NoLineBeforeAnythingWasDone) {
  EXPECT_EQ("", LineAfterATick(Progress(), 5));
  Progress progress;
  progress.Start(100, 200, 0);
  EXPECT_EQ("", LineAfterATick(progress, 100));
  // The share counts what was done before a resumed run's start.
  EXPECT_EQ("75% | ", LineAfterATick(progress, 150).substr(0, 6));
}

TEST(Progress, NothingToWipeWithoutABar) {
  Progress progress;
  ::testing::internal::CaptureStderr();
  progress.ClearBar();
  EXPECT_EQ("", ::testing::internal::GetCapturedStderr());
}

}  // namespace
}  // namespace caffe

#include <gtest/gtest.h>

#include "testing/blob_util.hpp"
#include "testing/gradient_checker.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(SilenceLayer, GivesZeroGradient) {
  Blob<float> a(2, 3, 1, 1), b(1, 1, 1, 1);
  FillGaussian(&a, 1);
  SetDiff(a, &a);
  b.mutable_cpu_diff()[0] = 5;
  LayerRun<float> run(LayerFromText("type: 'Silence'"), {&a, &b}, 0);
  EXPECT_EQ(0, run.Forward());
  run.Backward({true, false});
  EXPECT_EQ(0, a.asum_diff());
  EXPECT_EQ(5, b.cpu_diff()[0]);
}

}  // namespace
}  // namespace caffe

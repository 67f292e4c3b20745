#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class SplitLayerGpu : public testing::GpuTest {};

const char kSplit[] = "name: 's' type: 'Split'";

TEST_F(SplitLayerGpu, EqualsTheCpu) {
  for (int tops : {1, 2, 3, 4}) {
    testing::GpuComparison comparison;
    comparison.layer = kSplit;
    comparison.shapes = {{3, 4, 5, 7}};
    comparison.tops = tops;
    comparison.Expect();
  }
}

// As where all tops go to one Eltwise layer.
TEST_F(SplitLayerGpu, TopsThatShareADiff) {
  const testing::GpuMode mode;
  Blob<float> x(2, 3, 4, 5);
  testing::FillGaussian(&x, 1);
  testing::LayerRun<float> run(testing::LayerFromText(kSplit), {&x}, 3);
  run.top[2]->ShareDiff(*run.top[0]);
  run.Forward();
  for (int i = 0; i < x.count(); ++i) {
    run.top[0]->mutable_cpu_diff()[i] = i;
    run.top[1]->mutable_cpu_diff()[i] = 3 * i;
  }
  run.Backward();
  for (int i = 0; i < x.count(); ++i) ASSERT_EQ(5 * i, x.cpu_diff()[i]);
}

TEST_F(SplitLayerGpu, StaysOnTheDevice) {
  for (int tops : {1, 2, 3}) testing::ExpectStaysOnGpu(kSplit, {{3, 4, 5, 7}}, tops);
}

}  // namespace
}  // namespace caffe

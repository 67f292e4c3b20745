#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class SilenceLayerGpu : public testing::GpuTest {};

const char kLayer[] = "name: 'layer' type: 'Silence'";

TEST_F(SilenceLayerGpu, EqualsTheCpu) {
  testing::GpuComparison comparison;
  comparison.layer = kLayer;
  comparison.shapes = {{3, 4, 5, 7}, {2, 3}};
  comparison.tops = 0;
  comparison.Expect();
}

TEST_F(SilenceLayerGpu, StaysOnTheDevice) {
  testing::ExpectStaysOnGpu(kLayer, {{3, 4, 5, 7}, {2, 3}}, 0);
}

}  // namespace
}  // namespace caffe

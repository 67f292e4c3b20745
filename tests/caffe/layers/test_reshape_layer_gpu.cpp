#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class ReshapeLayerGpu : public testing::GpuTest {};

const char kLayer[] = "name: 'layer' type: 'Reshape' reshape_param { shape { dim: 0 dim: -1 } }";

TEST_F(ReshapeLayerGpu, EqualsTheCpu) {
  testing::GpuComparison comparison;
  comparison.layer = kLayer;
  comparison.shapes = {{3, 4, 5, 7}};
  comparison.Expect();
}

TEST_F(ReshapeLayerGpu, StaysOnTheDevice) {
  testing::ExpectStaysOnGpu(kLayer, {{3, 4, 5, 7}});
}

}  // namespace
}  // namespace caffe

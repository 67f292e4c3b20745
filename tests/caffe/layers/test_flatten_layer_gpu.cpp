#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class FlattenLayerGpu : public testing::GpuTest {};

const char kLayer[] = "name: 'layer' type: 'Flatten' flatten_param { axis: 2 }";

TEST_F(FlattenLayerGpu, EqualsTheCpu) {
  testing::GpuComparison comparison;
  comparison.layer = kLayer;
  comparison.shapes = {{3, 4, 5, 7}};
  comparison.Expect();
}

TEST_F(FlattenLayerGpu, StaysOnTheDevice) {
  testing::ExpectStaysOnGpu(kLayer, {{3, 4, 5, 7}});
}

}  // namespace
}  // namespace caffe

#include <gtest/gtest.h>

#include "testing/gpu_util.hpp"

namespace caffe {
namespace {

class ReLULayerGpu : public testing::GpuTest {};

TEST_F(ReLULayerGpu, EqualsTheCpu) {
  for (bool in_place : {false, true}) {
    testing::GpuComparison comparison;
    comparison.layer = "name: 'relu' type: 'ReLU' relu_param { negative_slope: 0.25 }";
    comparison.shapes = {{3, 4, 5, 7}};
    comparison.in_place = in_place;
    comparison.Expect();
  }
}

}  // namespace
}  // namespace caffe

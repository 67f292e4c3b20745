#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class BiasLayerGpu : public testing::GpuTest {};

std::string Bias(const std::string& settings) {
  return "name: 'b' type: 'Bias' bias_param { " + settings + " }";
}

TEST_F(BiasLayerGpu, EqualsTheCpu) {
  for (const char* settings : {"", "axis: 0 num_axes: 2", "num_axes: 0", "axis: 2",
                               "axis: -2 num_axes: -1", "axis: 0 num_axes: -1"}) {
    for (const std::vector<int>& shape :
         std::vector<std::vector<int>>{{3, 4, 5, 7}, {2, 2, 50, 60}, {40, 3, 1, 1}}) {
      for (bool in_place : {false, true}) {
        testing::GpuComparison comparison;
        comparison.layer = Bias(std::string(settings) + " filler { type: 'gaussian' }");
        comparison.shapes = {shape};
        comparison.in_place = in_place;
        comparison.Expect();
      }
    }
  }
}

TEST_F(BiasLayerGpu, SecondBottom) {
  for (const auto& propagate_down :
       std::vector<std::vector<bool>>{{true, true}, {true, false}, {false, true}}) {
    for (bool in_place : {false, true}) {
      testing::GpuComparison comparison;
      comparison.in_place = in_place;
      comparison.propagate_down = propagate_down;
      comparison.layer = Bias("");
      comparison.shapes = {{3, 4, 5, 7}, {4}};
      comparison.Expect();
      comparison.layer = Bias("axis: 0");
      comparison.shapes = {{3, 4, 5, 7}, {3, 4}};
      comparison.Expect();
    }
  }
}

TEST_F(BiasLayerGpu, InFloat) {
  testing::ExpectFloatAgrees(Bias(""), {{3, 4, 50, 7}});
}

TEST_F(BiasLayerGpu, StaysOnTheDevice) {
  for (bool in_place : {false, true}) {
    testing::ExpectStaysOnGpu(Bias(""), {{3, 4, 5, 7}}, 1, in_place);
    testing::ExpectStaysOnGpu(Bias("axis: 0"), {{3, 4, 5, 7}, {3, 4}}, 1, in_place);
  }
}

}  // namespace
}  // namespace caffe

#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class ScaleLayerGpu : public testing::GpuTest {};

std::string Scale(const std::string& settings) {
  return "name: 's' type: 'Scale' scale_param { " + settings + " }";
}

const char kRandom[] = " filler { type: 'gaussian' } bias_filler { type: 'gaussian' }";

TEST_F(ScaleLayerGpu, EqualsTheCpu) {
  for (const char* settings :
       {"", "bias_term: true", "axis: 0 num_axes: 2 bias_term: true", "num_axes: 0 bias_term: true",
        "axis: 2", "axis: -2 num_axes: -1 bias_term: true", "axis: 0 num_axes: -1"}) {
    for (const std::vector<int>& shape : std::vector<std::vector<int>>{
             {3, 4, 5, 7}, {2, 2, 50, 60}, {40, 3, 1, 1}, {2, 600, 5, 5}}) {
      for (bool in_place : {false, true}) {
        testing::GpuComparison comparison;
        comparison.layer = Scale(std::string(settings) + kRandom);
        comparison.shapes = {shape};
        comparison.in_place = in_place;
        comparison.Expect();
      }
    }
  }
}

TEST_F(ScaleLayerGpu, SecondBottom) {
  for (const auto& propagate_down :
       std::vector<std::vector<bool>>{{true, true}, {true, false}, {false, true}}) {
    for (bool in_place : {false, true}) {
      testing::GpuComparison comparison;
      comparison.in_place = in_place;
      comparison.propagate_down = propagate_down;
      comparison.layer = Scale(std::string("bias_term: true") + kRandom);
      comparison.shapes = {{3, 4, 5, 7}, {4}};
      comparison.Expect();
      comparison.layer = Scale("axis: 0");
      comparison.shapes = {{3, 4, 5, 7}, {3, 4}};
      comparison.Expect();
      comparison.shapes = {{3, 4, 5, 7}, {3, 4, 5, 7}};
      comparison.Expect();
    }
  }
}

TEST_F(ScaleLayerGpu, InFloat) {
  testing::ExpectFloatAgrees(Scale("bias_term: true"), {{3, 4, 50, 7}});
  testing::ExpectFloatAgrees(Scale("axis: 0"), {{3, 4, 5, 7}, {3}});
}

TEST_F(ScaleLayerGpu, StaysOnTheDevice) {
  for (bool in_place : {false, true}) {
    testing::ExpectStaysOnGpu(Scale("bias_term: true"), {{3, 4, 5, 7}}, 1, in_place);
    testing::ExpectStaysOnGpu(Scale("axis: 0"), {{3, 4, 5, 7}, {3, 4}}, 1, in_place);
  }
}

}  // namespace
}  // namespace caffe

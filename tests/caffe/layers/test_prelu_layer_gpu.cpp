#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class PReLULayerGpu : public testing::GpuTest {};

std::string PRelu(const std::string& settings) {
  return "name: 'p' type: 'PReLU' prelu_param { " + settings + " }";
}

const char kShared[] = "channel_shared: true ", kRandom[] = "filler { type: 'gaussian' } ";

TEST_F(PReLULayerGpu, EqualsTheCpu) {
  for (const std::string& settings : {std::string(), std::string(kShared), std::string(kRandom),
                                      kRandom + std::string(kShared)}) {
    for (const std::vector<int>& shape : std::vector<std::vector<int>>{
             {3, 4, 5, 7}, {2, 2, 50, 60}, {40, 3}, {2, 600, 5}, {1, 1, 1, 1}}) {
      for (bool in_place : {false, true}) {
        for (bool propagate_down : {false, true}) {
          testing::GpuComparison comparison;
          comparison.layer = PRelu(settings);
          comparison.shapes = {shape};
          comparison.in_place = in_place;
          comparison.propagate_down = {propagate_down};
          comparison.Expect();
        }
      }
    }
  }
}

TEST_F(PReLULayerGpu, InFloat) {
  testing::ExpectFloatAgrees(PRelu(""), {{3, 4, 50, 7}});
  testing::ExpectFloatAgrees(PRelu(kShared), {{3, 4, 50, 7}});
}

TEST_F(PReLULayerGpu, StaysOnTheDevice) {
  for (bool in_place : {false, true}) {
    testing::ExpectStaysOnGpu(PRelu(""), {{3, 4, 5, 7}}, 1, in_place);
    testing::ExpectStaysOnGpu(PRelu(kShared), {{3, 4, 5, 7}}, 1, in_place);
  }
}

}  // namespace
}  // namespace caffe

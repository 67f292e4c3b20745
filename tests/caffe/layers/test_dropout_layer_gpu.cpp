#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class DropoutLayerGpu : public testing::GpuTest {};

// The same elements are dropped, and the others have the same bits.
TEST_F(DropoutLayerGpu, EqualsTheCpu) {
  for (const char* settings : {"", "dropout_param { dropout_ratio: 0.2 }",
                               "dropout_param { dropout_ratio: 0 }", "phase: TEST"}) {
    for (const std::vector<int>& shape :
         std::vector<std::vector<int>>{{3, 4, 5, 7}, {2, 19, 3, 2}, {5, 3}, {6, 9, 4}, {50}}) {
      for (bool in_place : {false, true}) {
        testing::GpuComparison comparison;
        comparison.layer = std::string("name: 'd' type: 'Dropout' ") + settings;
        comparison.shapes = {shape};
        comparison.in_place = in_place;
        comparison.tolerance = 1e-100;
        comparison.Expect();
      }
    }
  }
}

TEST_F(DropoutLayerGpu, InFloat) {
  testing::ExpectFloatAgrees("name: 'd' type: 'Dropout'", {{3, 6, 5, 7}});
}

TEST_F(DropoutLayerGpu, StaysOnTheDevice) {
  for (bool in_place : {false, true}) {
    testing::ExpectStaysOnGpu("name: 'd' type: 'Dropout'", {{3, 6, 5, 7}}, 1, in_place);
    testing::ExpectStaysOnGpu("name: 'd' type: 'Dropout' phase: TEST", {{3, 6}}, 1, in_place);
  }
}

}  // namespace
}  // namespace caffe

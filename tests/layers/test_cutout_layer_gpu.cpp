#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class CutoutLayerGpu : public testing::GpuTest {};

std::string Cutout(int length, const std::string& more = "") {
  return "name: 'c' type: 'Cutout' cutout_param { length: " + std::to_string(length) + " } " + more;
}

const std::vector<std::vector<int>> kShapes = {
    {9, 3, 8, 11}, {2, 19, 3, 2}, {5, 1, 1, 1}, {4, 2, 1, 30}};

// The same squares, and the same bits elsewhere.
TEST_F(CutoutLayerGpu, EqualsTheCpu) {
  for (const int length : {1, 2, 3, 6, 100}) {
    for (const char* phase : {"", "phase: TEST"}) {
      for (const std::vector<int>& shape : kShapes) {
        for (bool in_place : {false, true}) {
          testing::GpuComparison comparison;
          comparison.layer = Cutout(length, phase);
          comparison.shapes = {shape};
          comparison.in_place = in_place;
          comparison.tolerance = 1e-100;
          comparison.Expect();
        }
      }
    }
  }
}

TEST_F(CutoutLayerGpu, EqualsTheCpuInFloat) {
  for (const std::vector<int>& shape : kShapes) {
    testing::ExpectFloatEqualsTheCpu(Cutout(4), {shape}, 1e-100);
  }
}

TEST_F(CutoutLayerGpu, StaysOnTheDevice) {
  for (bool in_place : {false, true}) {
    testing::ExpectStaysOnGpu(Cutout(4), {{3, 4, 5, 7}}, 1, in_place);
    testing::ExpectStaysOnGpu(Cutout(4, "phase: TEST"), {{3, 4, 5, 7}}, 1, in_place);
  }
}

}  // namespace
}  // namespace caffe

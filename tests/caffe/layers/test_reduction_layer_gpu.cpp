#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class ReductionLayerGpu : public testing::GpuTest {};

std::string Reduction(const std::string& settings) {
  return "name: 'r' type: 'Reduction' reduction_param { coeff: 1.5 " + settings + " }";
}

TEST_F(ReductionLayerGpu, EqualsTheCpu) {
  for (const std::string operation : {"SUM", "ASUM", "SUMSQ", "MEAN"}) {
    for (const int axis : {0, 1, 2, -1}) {
      for (const std::vector<int>& shape :
           std::vector<std::vector<int>>{{3, 4, 5, 7}, {2, 3, 50, 60}, {40, 3, 1}}) {
        testing::GpuComparison comparison;
        comparison.layer = Reduction("operation: " + operation + " axis: " + std::to_string(axis));
        comparison.shapes = {shape};
        comparison.Expect();
      }
    }
  }
}

TEST_F(ReductionLayerGpu, InFloat) {
  for (const std::string operation : {"SUM", "ASUM", "SUMSQ", "MEAN"}) {
    testing::ExpectFloatAgrees(Reduction("operation: " + operation + " axis: 1"), {{3, 4, 50, 7}});
  }
}

TEST_F(ReductionLayerGpu, StaysOnTheDevice) {
  testing::ExpectStaysOnGpu(Reduction("axis: 1"), {{3, 4, 5, 7}});
  testing::ExpectStaysOnGpu(Reduction("operation: SUMSQ"), {{3, 4, 5, 7}});
}

}  // namespace
}  // namespace caffe

#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class EuclideanLossLayerGpu : public testing::GpuTest {};

const char kLoss[] = "name: 'loss' type: 'EuclideanLoss' loss_weight: 3";

TEST_F(EuclideanLossLayerGpu, EqualsTheCpu) {
  for (const std::vector<int>& shape :
       std::vector<std::vector<int>>{{3, 4, 5, 7}, {1}, {2, 3}, {3, 5, 40, 40}}) {
    for (const auto& propagate_down :
         std::vector<std::vector<bool>>{{true, true}, {true, false}, {false, true}}) {
      testing::GpuComparison comparison;
      comparison.layer = kLoss;
      comparison.shapes = {shape, shape};
      comparison.propagate_down = propagate_down;
      comparison.Expect();
    }
  }
}

TEST_F(EuclideanLossLayerGpu, InFloat) {
  testing::ExpectFloatAgrees(kLoss, {{3, 4, 5, 7}, {3, 4, 5, 7}});
}

TEST_F(EuclideanLossLayerGpu, StaysOnTheDevice) {
  testing::ExpectStaysOnGpu(kLoss, {{3, 4, 5, 7}, {3, 4, 5, 7}});
}

}  // namespace
}  // namespace caffe

#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class StochasticDepthLayerGpu : public testing::GpuTest {};

std::string StochasticDepth(const std::string& settings, const std::string& more = "") {
  return "name: 's' type: 'StochasticDepth' stochastic_depth_param { " + settings + " } " + more;
}

const std::vector<std::vector<int>> kShapes = {{20, 3, 4, 5}, {7, 19, 2}, {30}};

// The same choices, and the same bits.
TEST_F(StochasticDepthLayerGpu, EqualsTheCpu) {
  for (const char* settings : {"", "per_image: true", "per_image: true survival_prob: 0.9",
                               "survival_prob: 1", "survival_prob: 0.01"}) {
    for (const char* phase : {"", "phase: TEST"}) {
      for (const std::vector<int>& shape : kShapes) {
        for (bool in_place : {false, true}) {
          testing::GpuComparison comparison;
          comparison.layer = StochasticDepth(settings, phase);
          comparison.shapes = {shape};
          comparison.in_place = in_place;
          comparison.tolerance = 1e-100;
          comparison.Expect();
        }
      }
    }
  }
}

TEST_F(StochasticDepthLayerGpu, EqualsTheCpuInFloat) {
  for (const std::vector<int>& shape : kShapes) {
    testing::ExpectFloatEqualsTheCpu(StochasticDepth("per_image: true"), {shape}, 1e-100);
  }
}

// What is dropped is 0, whatever it was.
TEST_F(StochasticDepthLayerGpu, DropsWhatIsNoNumber) {
  const testing::GpuMode mode;
  Blob<float> x(std::vector<int>{50});
  std::fill_n(x.mutable_cpu_data(), 50, NAN);
  testing::LayerRun<float> run(testing::LayerFromText(StochasticDepth("per_image: true")), {&x});
  run.Forward();
  int zeros = 0;
  for (int i = 0; i < 50; ++i) zeros += run.top[0]->cpu_data()[i] == 0;
  EXPECT_GT(zeros, 10);
  EXPECT_LT(zeros, 40);
}

TEST_F(StochasticDepthLayerGpu, StaysOnTheDevice) {
  for (bool in_place : {false, true}) {
    for (const char* phase : {"", "phase: TEST"}) {
      testing::ExpectStaysOnGpu(StochasticDepth("", phase), {{3, 4, 5, 7}}, 1, in_place);
      testing::ExpectStaysOnGpu(StochasticDepth("per_image: true", phase), {{3, 4}}, 1, in_place);
    }
  }
}

}  // namespace
}  // namespace caffe

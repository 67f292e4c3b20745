#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class SliceLayerGpu : public testing::GpuTest {};

std::string Slice(const std::string& settings) {
  return "name: 's' type: 'Slice' slice_param { " + settings + " }";
}

TEST_F(SliceLayerGpu, EqualsTheCpu) {
  const struct {
    const char* settings;
    std::vector<int> shape;
    int tops;
  } cases[] = {{"", {3, 6, 5, 7}, 3},
               {"slice_point: 1 slice_point: 4", {3, 6, 5, 7}, 3},
               {"axis: 0", {4, 3}, 2},
               {"axis: -1 slice_point: 2", {3, 2, 5}, 2},
               {"slice_dim: 2", {2, 3, 4, 5}, 4},
               {"", {2, 3}, 1}};
  for (const auto& c : cases) {
    testing::GpuComparison comparison;
    comparison.layer = Slice(c.settings);
    comparison.shapes = {c.shape};
    comparison.tops = c.tops;
    comparison.Expect();
    comparison.propagate_down = {false};
    comparison.Expect();
  }
}

TEST_F(SliceLayerGpu, StaysOnTheDevice) {
  testing::ExpectStaysOnGpu(Slice("slice_point: 1"), {{3, 4, 5, 7}}, 2);
}

}  // namespace
}  // namespace caffe

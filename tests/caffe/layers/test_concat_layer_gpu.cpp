#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class ConcatLayerGpu : public testing::GpuTest {};

std::string Concat(const std::string& settings) {
  return "name: 'c' type: 'Concat' concat_param { " + settings + " }";
}

TEST_F(ConcatLayerGpu, EqualsTheCpu) {
  const struct {
    const char* settings;
    std::vector<std::vector<int>> shapes;
  } cases[] = {{"", {{3, 4, 5, 7}, {3, 1, 5, 7}, {3, 6, 5, 7}}},
               {"axis: 0", {{3, 4}, {1, 4}}},
               {"axis: -1", {{3, 2, 5}, {3, 2, 1}, {3, 2, 8}}},
               {"concat_dim: 2", {{2, 3, 4, 5}, {2, 3, 7, 5}}},
               {"", {{2, 3}}}};
  for (const auto& c : cases) {
    testing::GpuComparison comparison;
    comparison.layer = Concat(c.settings);
    comparison.shapes = c.shapes;
    comparison.Expect();
    comparison.propagate_down.assign(c.shapes.size(), true);
    comparison.propagate_down[0] = false;
    comparison.Expect();
  }
}

TEST_F(ConcatLayerGpu, InFloat) {
  testing::ExpectFloatAgrees(Concat(""), {{3, 4, 5}, {3, 2, 5}});
}

TEST_F(ConcatLayerGpu, StaysOnTheDevice) {
  testing::ExpectStaysOnGpu(Concat(""), {{3, 4, 5, 7}, {3, 1, 5, 7}});
}

}  // namespace
}  // namespace caffe

#include <gtest/gtest.h>

#include "testing/neuron_layer_test.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(ClipLayer, Relu6) {
  CheckNeuron(
      "type: 'Clip' clip_param { min: 0 max: 1.5 }",
      [](double x) { return std::min(std::max(x, 0.0), 1.5); }, Layout::KEEPS_BLOCKS, true, 1.5);
}

// Zero itself is clipped: the lanes beyond the last channel must not become 0.5.
TEST(ClipLayer, RangeWithoutZero) {
  CheckNeuron(
      "type: 'Clip' clip_param { min: 0.5 max: 2 }",
      [](double x) { return std::min(std::max(x, 0.5), 2.0); }, Layout::PLAIN);
  CheckNeuron(
      "type: 'Clip' clip_param { min: -2 max: -0.5 }",
      [](double x) { return std::min(std::max(x, -2.0), -0.5); }, Layout::PLAIN);
}

TEST(ClipLayer, KeepsNaN) {
  Blob<float> x(1, 1, 1, 1), dy(1, 1, 1, 1);
  FillValues(&x, {NAN});
  EXPECT_TRUE(std::isnan(
      RunNeuron(LayerFromText("type: 'Clip' clip_param { min: 0 max: 6 }"), x, dy).y[0]));
}

TEST(ClipLayer, Errors) {
  Blob<float> x(1, 1, 1, 1);
  EXPECT_ERROR(LayerRun<float>(LayerFromText("type: 'Clip'"), {&x}), "needs min and max");
  EXPECT_ERROR(LayerRun<float>(LayerFromText("type: 'Clip' clip_param { min: 2 max: 1 }"), {&x}),
               "min 2 exceeds max 1");
}

}  // namespace
}  // namespace caffe

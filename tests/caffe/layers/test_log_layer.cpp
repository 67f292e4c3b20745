#include <gtest/gtest.h>

#include "testing/neuron_layer_test.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(LogLayer, MatchesFormula) {
  CheckNeuron(
      "type: 'Log' log_param { shift: 8 }", [](double x) { return std::log(8 + x); }, Layout::PLAIN,
      false);
  CheckNeuron(
      "type: 'Log' log_param { base: 2 scale: 0.5 shift: 1 }",
      [](double x) { return std::log2(1 + 0.5 * x); }, Layout::PLAIN, false, 0, 8);
}

TEST(LogLayer, Errors) {
  Blob<float> x(1, 1, 1, 1), dy(1, 1, 1, 1);
  EXPECT_ERROR(LayerRun<float>(LayerFromText("type: 'Log' log_param { base: 1 }"), {&x}),
               "base is 1");
  EXPECT_ERROR(RunNeuron(LayerFromText("type: 'Log'"), x, dy, true), "in place");
}

}  // namespace
}  // namespace caffe

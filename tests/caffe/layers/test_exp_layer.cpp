#include <gtest/gtest.h>

#include "testing/neuron_layer_test.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(ExpLayer, MatchesFormula) {
  CheckNeuron(
      "type: 'Exp'", [](double x) { return std::exp(x); }, Layout::PLAIN);
  CheckNeuron(
      "type: 'Exp' exp_param { base: 2 scale: 3 shift: 1 }",
      [](double x) { return std::pow(2, 1 + 3 * x); }, Layout::PLAIN);
}

TEST(ExpLayer, BadBase) {
  Blob<float> x(1, 1, 1, 1);
  EXPECT_ERROR(LayerRun<float>(LayerFromText("type: 'Exp' exp_param { base: -2 }"), {&x}),
               "base is -2");
}

}  // namespace
}  // namespace caffe

#include <gtest/gtest.h>

#include "testing/neuron_layer_test.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(SwishLayer, MatchesFormula) {
  CheckNeuron(
      "type: 'Swish'", [](double x) { return x / (1 + std::exp(-x)); }, Layout::PLAIN);
  CheckNeuron(
      "type: 'Swish' swish_param { beta: 1.5 }",
      [](double x) { return x / (1 + std::exp(-1.5 * x)); }, Layout::PLAIN);
}

}  // namespace
}  // namespace caffe

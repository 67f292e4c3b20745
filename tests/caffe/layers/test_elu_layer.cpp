#include <gtest/gtest.h>

#include "testing/neuron_layer_test.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(ELULayer, MatchesFormula) {
  CheckNeuron(
      "type: 'ELU'", [](double x) { return x > 0 ? x : std::exp(x) - 1; }, Layout::PLAIN);
  CheckNeuron(
      "type: 'ELU' elu_param { alpha: 0.5 }",
      [](double x) { return x > 0 ? x : 0.5 * (std::exp(x) - 1); }, Layout::PLAIN);
}

}  // namespace
}  // namespace caffe

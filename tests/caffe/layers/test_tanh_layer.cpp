#include <gtest/gtest.h>

#include "testing/neuron_layer_test.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(TanHLayer, MatchesFormula) {
  CheckNeuron(
      "type: 'TanH'", [](double x) { return std::tanh(x); }, Layout::PLAIN);
}

}  // namespace
}  // namespace caffe

#include <gtest/gtest.h>

#include "testing/neuron_layer_test.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(SigmoidLayer, MatchesFormula) {
  CheckNeuron(
      "type: 'Sigmoid'", [](double x) { return 1 / (1 + std::exp(-x)); }, Layout::PLAIN);
}

TEST(SigmoidLayer, SaturatesWithoutOverflow) {
  Blob<float> x(1, 1, 1, 2), dy(1, 1, 1, 2);
  FillValues(&x, {-1000.f, 1000.f});
  EXPECT_EQ((std::vector<float>{0, 1}), RunNeuron(LayerFromText("type: 'Sigmoid'"), x, dy).y);
}

}  // namespace
}  // namespace caffe

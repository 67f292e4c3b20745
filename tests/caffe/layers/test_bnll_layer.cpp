#include <gtest/gtest.h>

#include "testing/neuron_layer_test.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(BNLLLayer, MatchesFormula) {
  CheckNeuron(
      "type: 'BNLL'", [](double x) { return std::log(1 + std::exp(x)); }, Layout::PLAIN);
}

TEST(BNLLLayer, DoesNotOverflow) {
  Blob<float> x(1, 1, 1, 2), dy(1, 1, 1, 2);
  FillValues(&x, {-1000.f, 1000.f});
  FillValues(&dy, {1.f, 1.f});
  const auto result = RunNeuron(LayerFromText("type: 'BNLL'"), x, dy);
  EXPECT_EQ((std::vector<float>{0, 1000}), result.y);
  EXPECT_EQ((std::vector<float>{0, 1}), result.dx);
}

}  // namespace
}  // namespace caffe

#include <gtest/gtest.h>

#include "testing/neuron_layer_test.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(PowerLayer, Linear) {
  CheckNeuron(
      "type: 'Power' power_param { scale: -2 }", [](double x) { return -2 * x; },
      Layout::KEEPS_BLOCKS);
  CheckNeuron(
      "type: 'Power' power_param { scale: -2 shift: 3 }", [](double x) { return 3 - 2 * x; },
      Layout::PLAIN);
}

TEST(PowerLayer, Powers) {
  CheckNeuron(
      "type: 'Power' power_param { power: 2 scale: 0.5 shift: 1 }",
      [](double x) { return std::pow(1 + 0.5 * x, 2); }, Layout::PLAIN, false);
  CheckNeuron(
      "type: 'Power' power_param { power: -0.5 shift: 8 }",
      [](double x) { return std::pow(8 + x, -0.5); }, Layout::PLAIN, false);
}

TEST(PowerLayer, ConstantHasGradientZero) {
  Blob<double> x(1, 1, 1, 2), dy(1, 1, 1, 2);
  FillValues(&x, {0., 1.});
  FillValues(&dy, {1., 1.});
  for (const char* text : {"type: 'Power' power_param { power: 0 }",
                           "type: 'Power' power_param { power: 0.5 scale: 0 }",
                           "type: 'Power' power_param { scale: 0 shift: 1 }"}) {
    EXPECT_EQ((std::vector<double>{0, 0}), RunNeuron(LayerFromText(text), x, dy).dx) << text;
  }
}

TEST(PowerLayer, ScaleZeroIsTheConstantAlways) {
  Blob<double> x(1, 1, 1, 2), dy(1, 1, 1, 2);
  FillValues(&x,
             {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()});
  for (const auto& [power, y] : {std::pair<const char*, double>{"1", 2}, {"3", 8}}) {
    const string text =
        string("type: 'Power' power_param { scale: 0 shift: 2 power: ") + power + " }";
    EXPECT_EQ((std::vector<double>{y, y}), RunNeuron(LayerFromText(text), x, dy).y) << text;
  }
}

TEST(PowerLayer, ScaleOfInfinityIsInfinity) {
  const double inf = std::numeric_limits<double>::infinity();
  Blob<double> x(1, 1, 1, 3), dy(1, 1, 1, 3);
  FillValues(&x, {inf, -inf, 1});
  FillValues(&dy, {1, 2, inf});
  const auto run = RunNeuron(LayerFromText("type: 'Power' power_param { scale: 2 }"), x, dy);
  EXPECT_EQ((std::vector<double>{inf, -inf, 2}), run.y);
  EXPECT_EQ((std::vector<double>{2, 4, inf}), run.dx);
}

TEST(PowerLayer, NotInPlaceUnlessLinear) {
  Blob<float> x(1, 1, 1, 1), dy(1, 1, 1, 1);
  EXPECT_ERROR(RunNeuron(LayerFromText("type: 'Power' power_param { power: 2 }"), x, dy, true),
               "in place");
}

}  // namespace
}  // namespace caffe

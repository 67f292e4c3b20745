#include <gtest/gtest.h>

#include "testing/neuron_layer_test.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

const char kHalf[] = "name: 'd' type: 'Dropout'";

TEST(DropoutLayer, KeepsTheShareAndScales) {
  for (const float given : {0.f, 0.25f, 0.5f, 0.9f}) {
    const double ratio = given;
    Blob<double> x(4, 50, 10, 10), dy(4, 50, 10, 10);
    FillGaussian(&x, 1);
    FillGaussian(&dy, 2);
    LayerParameter param = LayerFromText(kHalf);
    param.mutable_dropout_param()->set_dropout_ratio(ratio);
    const auto result = RunNeuron(param, x, dy);
    int kept = 0;
    for (int i = 0; i < x.count(); ++i) {
      const double factor = result.y[i] / x.cpu_data()[i];
      kept += factor != 0;
      ASSERT_NEAR(factor == 0 ? 0 : 1 / (1 - ratio), factor, 1e-6);
      ASSERT_NEAR(dy.cpu_data()[i] * factor, result.dx[i], 1e-9);
    }
    // Five standard deviations.
    const double bound = 5 * std::sqrt(ratio * (1 - ratio) / x.count());
    EXPECT_NEAR(1 - ratio, double(kept) / x.count(), bound + 1e-12);
  }
}

TEST(DropoutLayer, TestPhaseIsTheIdentity) {
  Blob<double> x(2, 5, 3, 3), dy(2, 5, 3, 3);
  FillGaussian(&x, 1);
  FillGaussian(&dy, 2);
  const LayerParameter param = LayerFromText("type: 'Dropout' phase: TEST");
  for (const bool in_place : {false, true}) {
    const auto result = RunNeuron(param, x, dy, in_place);
    EXPECT_TRUE(std::equal(result.y.begin(), result.y.end(), x.cpu_data()));
    EXPECT_TRUE(std::equal(result.dx.begin(), result.dx.end(), dy.cpu_data()));
  }
}

TEST(DropoutLayer, SameChoicesInAnyLayoutAndInPlace) {
  Caffe::set_random_seed(3);
  Blob<float> x(3, 21, 3, 5), dy(3, 21, 3, 5);
  FillGaussian(&x, 1);
  FillGaussian(&dy, 2);
  for (const char* text : {kHalf, "type: 'Dropout' phase: TEST"}) {
    const LayerParameter param = LayerFromText(text);
    const auto plain = RunNeuron(param, x, dy);
    for (const int block : {1, 8, 16}) {
      for (const bool in_place : {false, true}) {
        const auto other = RunNeuron(param, x, dy, in_place, block);
        EXPECT_EQ(plain.y, other.y) << block;
        EXPECT_EQ(plain.dx, other.dx) << block;
        EXPECT_EQ(block, other.data_block);
        EXPECT_EQ(block, other.diff_block);
      }
    }
  }
}

TEST(DropoutLayer, ChoicesDependOnSeedNameAndPassOnly) {
  Blob<float> x(std::vector<int>{8, 64});
  std::fill_n(x.mutable_cpu_data(), x.count(), 1.f);
  const auto run = [&x](unsigned seed, const char* text, uint64_t pass) {
    Caffe::set_random_seed(seed);
    LayerRun<float> layer(LayerFromText(text), {&x});
    layer.layer->set_next_pass(pass);
    layer.Forward();
    return std::vector<float>(layer.top[0]->cpu_data(), layer.top[0]->cpu_data() + x.count());
  };
  const auto reference = run(1, kHalf, 0);
  EXPECT_EQ(reference, run(1, kHalf, 0));
  EXPECT_NE(reference, run(2, kHalf, 0));
  EXPECT_NE(reference, run(1, kHalf, 1));
  EXPECT_NE(reference, run(1, "name: 'e' type: 'Dropout'", 0));
}

TEST(DropoutLayer, Gradient) {
  Blob<double> x(2, 5, 2, 2), y;
  FillGaussian(&x, 1);
  const auto layer = LayerRegistry<double>::CreateLayer(LayerFromText(kHalf));
  GradientChecker<double>(1e-4, 1e-7).CheckGradientEltwise(layer.get(), {&x}, {&y});
}

TEST(DropoutLayer, BadRatio) {
  Blob<float> x(1, 1, 1, 1);
  EXPECT_ERROR(
      LayerRun<float>(LayerFromText("type: 'Dropout' dropout_param { dropout_ratio: 1 }"), {&x}),
      "dropout_ratio is 1");
}

}  // namespace
}  // namespace caffe

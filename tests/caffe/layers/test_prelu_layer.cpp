#include <gtest/gtest.h>

#include "testing/neuron_layer_test.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(PReLULayer, DefaultSlopeIsAQuarter) {
  CheckNeuron(
      "type: 'PReLU'", [](double x) { return x > 0 ? x : 0.25 * x; }, Layout::PLAIN);
}

TEST(PReLULayer, SlopePerChannel) {
  Blob<double> x(2, 3, 2, 2);
  FillGaussian(&x, 3);
  LayerRun<double> run(LayerFromText("type: 'PReLU'"), {&x});
  ASSERT_EQ(std::vector<int>{3}, run.layer->blobs()[0]->shape());
  FillValues(run.layer->blobs()[0].get(), {0.1, -0.2, 0.3});
  run.Forward();
  const double slopes[] = {0.1, -0.2, 0.3};
  for (int i = 0; i < x.count(); ++i) {
    const double v = x.cpu_data()[i];
    EXPECT_DOUBLE_EQ(v > 0 ? v : slopes[i / 4 % 3] * v, run.top[0]->cpu_data()[i]);
  }
  GradientChecker<double>(1e-5, 1e-6, 1701, 0, 1e-3)
      .CheckGradient(run.layer.get(), run.bottom, run.top);
}

TEST(PReLULayer, SharedSlope) {
  const LayerParameter param = LayerFromText(
      "type: 'PReLU' prelu_param { channel_shared: true filler { type: 'constant' value: 0.5 } }");
  Blob<double> x(2, 3, 2, 2);
  FillGaussian(&x, 3);
  LayerRun<double> run(param, {&x});
  EXPECT_EQ(0, run.layer->blobs()[0]->num_axes());
  EXPECT_EQ(1, run.layer->blobs()[0]->count());
  GradientChecker<double>(1e-5, 1e-6, 1701, 0, 1e-3)
      .CheckGradient(run.layer.get(), run.bottom, run.top);
}

TEST(PReLULayer, SlopeGradientInPlaceAndAccumulated) {
  Blob<double> x(1, 2, 1, 2);
  FillValues(&x, {-1., 2., -3., -4.});
  const auto layer = LayerRegistry<double>::CreateLayer(LayerFromText("type: 'PReLU'"));
  layer->SetUp({&x}, {&x});
  layer->Forward({&x}, {&x});
  for (int i = 0; i < 4; ++i) x.mutable_cpu_diff()[i] = i + 1;
  layer->Backward({&x}, {true}, {&x});
  const double* da = layer->blobs()[0]->cpu_diff();
  EXPECT_DOUBLE_EQ(-1, da[0]);
  EXPECT_DOUBLE_EQ(-3 * 3 - 4 * 4, da[1]);
  const double expected[] = {0.25, 2, 0.75, 1};
  for (int i = 0; i < 4; ++i) EXPECT_DOUBLE_EQ(expected[i], x.cpu_diff()[i]);
  for (int i = 0; i < 4; ++i) x.mutable_cpu_diff()[i] = i + 1;
  layer->Backward({&x}, {true}, {&x});
  EXPECT_DOUBLE_EQ(-2, da[0]);
}

TEST(PReLULayer, Errors) {
  Blob<float> x(std::vector<int>{4});
  EXPECT_ERROR(LayerRun<float>(LayerFromText("type: 'PReLU'"), {&x}), "N x C");
  Blob<float> image(1, 3, 2, 2);
  EXPECT_ERROR(
      LayerRun<float>(LayerFromText("type: 'PReLU' blobs { shape { dim: 2 } data: [1, 2] }"),
                      {&image}),
      "2 slope(s)");
}

}  // namespace
}  // namespace caffe

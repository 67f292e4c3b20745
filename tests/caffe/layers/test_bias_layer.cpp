#include "caffe/layers/bias_layer.hpp"

#include "testing/gradient_checker.hpp"
#include "testing/layer_result.hpp"

namespace caffe {
namespace testing {
namespace {

std::string Bias(const std::string& settings) {
  return "name: 'b' type: 'Bias' bias_param { " + settings + " }";
}

template <typename Dtype>
class BiasLayerTest : public ::testing::Test {};
typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(BiasLayerTest, Dtypes);

TYPED_TEST(BiasLayerTest, AddsOneValuePerChannel) {
  Blob<TypeParam> x(2, 2, 1, 2);
  FillValues<TypeParam>(&x, {1, 2, 3, 4, 5, 6, 7, 8});
  LayerRun<TypeParam> run(LayerFromText(Bias("filler { value: 3 }")), {&x});
  EXPECT_EQ((vector<int>{2}), run.layer->blobs()[0]->shape());
  EXPECT_EQ(3, run.layer->blobs()[0]->cpu_data()[1]);
  FillValues<TypeParam>(run.layer->blobs()[0].get(), {10, -20});
  run.Forward();
  const TypeParam expected[] = {11, 12, -17, -16, 15, 16, -13, -12};
  for (int i = 0; i < 8; ++i) EXPECT_EQ(expected[i], run.top[0]->cpu_data()[i]);
}

TYPED_TEST(BiasLayerTest, StartsAsTheIdentity) {
  Blob<TypeParam> x(vector<int>{2, 3});
  FillGaussian<TypeParam>(&x, 1);
  LayerRun<TypeParam> run(LayerFromText(Bias("")), {&x});
  run.Forward();
  for (int i = 0; i < x.count(); ++i) EXPECT_EQ(x.cpu_data()[i], run.top[0]->cpu_data()[i]);
}

TEST(BiasLayer, Gradient) {
  for (const char* settings : {"", "axis: 0 num_axes: 2", "num_axes: 0", "axis: -2 num_axes: -1"}) {
    SCOPED_TRACE(settings);
    Blob<double> x(2, 3, 2, 2), y;
    FillGaussian<double>(&x, 4);
    BiasLayer<double> layer(LayerFromText(Bias(settings)));
    GradientChecker<double>(1e-3, 1e-7).CheckGradientExhaustive(&layer, {&x}, {&y});
  }
  Blob<double> x(2, 3, 2, 2), beta(vector<int>{2, 3}), y;
  FillGaussian<double>(&x, 5);
  FillGaussian<double>(&beta, 6);
  BiasLayer<double> layer(LayerFromText(Bias("axis: 0")));
  GradientChecker<double>(1e-3, 1e-7).CheckGradientExhaustive(&layer, {&x, &beta}, {&y});
}

TEST(BiasLayer, AParametersGradientAddsUpABottomsDoesNot) {
  Blob<float> x(2, 3, 2, 2), bottom_beta(vector<int>{3});
  FillGaussian<float>(&x, 7, 1);
  FillGaussian<float>(&bottom_beta, 8);
  for (bool second : {false, true}) {
    vector<Blob<float>*> bottom = {&x};
    if (second) bottom.push_back(&bottom_beta);
    LayerRun<float> run(LayerFromText(Bias("")), bottom);
    run.Forward();
    SetDiff(x, run.top[0]);
    run.Backward();
    const Blob<float>& beta = second ? bottom_beta : *run.layer->blobs()[0];
    const float once = beta.cpu_diff()[1];
    ASSERT_NE(once, 0);
    run.Backward();
    EXPECT_EQ(second ? once : 2 * once, beta.cpu_diff()[1]);
  }
}

TEST(BiasLayer, AllLayoutsAgree) {
  for (int channels : {5, 16, 19}) {
    SCOPED_TRACE(channels);
    ExpectAllLayoutsAgree(Bias(""), {{3, channels, 5, 4}}, true);
    ExpectAllLayoutsAgree(Bias(""), {{3, channels, 5, 4}, {channels}}, true);
  }
}

TEST(BiasLayer, Errors) {
  Blob<float> x(2, 3, 2, 2), beta(vector<int>{4});
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Bias("")), {&x, &beta}),
               "beta of shape 4 (4) does not fit the bottom's 2 3 2 2 (24)");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Bias("axis: 2 num_axes: 3")), {&x}),
               "num_axes 3 from axis 2");
  EXPECT_ERROR(LayerRun<float>(LayerFromText("type: 'Bias' blobs { shape { dim: 2 } data: 1 "
                                             "data: 1 }"),
                               {&x}),
               "beta of shape 2 (2) does not fit the bottom's 2 3 2 2 (24)");
}

}  // namespace
}  // namespace testing
}  // namespace caffe

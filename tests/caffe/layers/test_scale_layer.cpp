#include "caffe/layers/scale_layer.hpp"

#include "testing/gradient_checker.hpp"
#include "testing/layer_result.hpp"

namespace caffe {
namespace testing {
namespace {

std::string Scale(const std::string& settings) {
  return "name: 's' type: 'Scale' scale_param { " + settings + " }";
}

template <typename Dtype>
class ScaleLayerTest : public ::testing::Test {};
typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(ScaleLayerTest, Dtypes);

TYPED_TEST(ScaleLayerTest, StartsAsTheIdentity) {
  Blob<TypeParam> x(2, 3, 2, 2);
  FillGaussian<TypeParam>(&x, 1);
  LayerRun<TypeParam> run(LayerFromText(Scale("bias_term: true")), {&x});
  ASSERT_EQ(2u, run.layer->blobs().size());
  EXPECT_EQ((vector<int>{3}), run.layer->blobs()[0]->shape());
  EXPECT_EQ((vector<int>{3}), run.layer->blobs()[1]->shape());
  run.Forward();
  for (int i = 0; i < x.count(); ++i) EXPECT_EQ(x.cpu_data()[i], run.top[0]->cpu_data()[i]);
}

TYPED_TEST(ScaleLayerTest, FillersAndValues) {
  Blob<TypeParam> x(2, 2, 1, 2);
  FillValues<TypeParam>(&x, {1, 2, 3, 4, 5, 6, 7, 8});
  LayerRun<TypeParam> run(LayerFromText(Scale("bias_term: true filler { value: 3 }"
                                              "bias_filler { value: 0.5 }")),
                          {&x});
  EXPECT_EQ(3, run.layer->blobs()[0]->cpu_data()[1]);
  EXPECT_EQ(TypeParam(0.5), run.layer->blobs()[1]->cpu_data()[1]);
  FillValues<TypeParam>(run.layer->blobs()[0].get(), {2, -1});
  FillValues<TypeParam>(run.layer->blobs()[1].get(), {10, 20});
  run.Forward();
  const TypeParam expected[] = {12, 14, 17, 16, 20, 22, 13, 12};
  for (int i = 0; i < 8; ++i) EXPECT_EQ(expected[i], run.top[0]->cpu_data()[i]);
}

TYPED_TEST(ScaleLayerTest, OtherAxes) {
  Blob<TypeParam> x(2, 3, 4, 5);
  FillGaussian<TypeParam>(&x, 2);
  const struct {
    const char* settings;
    vector<int> shape;
    int inner;
  } cases[] = {{"axis: 0 num_axes: 2", {2, 3}, 20},
               {"axis: -2 num_axes: -1", {4, 5}, 1},
               {"axis: 2", {4}, 5},
               {"num_axes: 0", {}, 120},
               {"axis: 0 num_axes: -1", {2, 3, 4, 5}, 1}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.settings);
    LayerRun<TypeParam> run(LayerFromText(Scale(c.settings)), {&x});
    Blob<TypeParam>* gamma = run.layer->blobs()[0].get();
    ASSERT_EQ(c.shape, gamma->shape());
    FillGaussian<TypeParam>(gamma, 3);
    run.Forward();
    for (int i = 0; i < x.count(); ++i) {
      ASSERT_EQ(x.cpu_data()[i] * gamma->cpu_data()[i / c.inner % gamma->count()],
                run.top[0]->cpu_data()[i]);
    }
  }
}

TEST(ScaleLayer, Gradient) {
  for (const char* settings :
       {"bias_term: true", "axis: 0 num_axes: 2 bias_term: true", "num_axes: 0", "axis: 2"}) {
    SCOPED_TRACE(settings);
    Blob<double> x(2, 3, 2, 2), y;
    FillGaussian<double>(&x, 4);
    ScaleLayer<double> layer(
        LayerFromText(Scale(std::string(settings) + " filler { type: 'gaussian' }")));
    GradientChecker<double>(1e-3, 1e-7).CheckGradientExhaustive(&layer, {&x}, {&y});
  }
}

TEST(ScaleLayer, GradientToASecondBottom) {
  for (const char* settings : {"axis: 0", "axis: 0 bias_term: true"}) {
    Blob<double> x(2, 3, 2, 2), gamma(vector<int>{2, 3}), y;
    FillGaussian<double>(&x, 5);
    FillGaussian<double>(&gamma, 6);
    ScaleLayer<double> layer(LayerFromText(Scale(settings)));
    GradientChecker<double>(1e-3, 1e-7).CheckGradientExhaustive(&layer, {&x, &gamma}, {&y});
    EXPECT_EQ(std::string(settings).size() > 7 ? 1u : 0u, layer.blobs().size());
  }
}

TEST(ScaleLayer, ParametersGradientsAddUpABottomsDoesNot) {
  Blob<float> x(2, 3, 2, 2), gamma(vector<int>{3});
  FillGaussian<float>(&x, 7);
  FillGaussian<float>(&gamma, 8);
  for (bool second : {false, true}) {
    vector<Blob<float>*> bottom = {&x};
    if (second) bottom.push_back(&gamma);
    LayerRun<float> run(LayerFromText(Scale("bias_term: true")), bottom);
    run.Forward();
    SetDiff(x, run.top[0]);
    run.Backward();
    const Blob<float>& gamma_used = second ? gamma : *run.layer->blobs()[0];
    const Blob<float>& beta = *run.layer->blobs().back();
    const float dgamma = gamma_used.cpu_diff()[1], dbeta = beta.cpu_diff()[1];
    ASSERT_GT(dgamma, 0);
    run.Backward();
    EXPECT_EQ(second ? dgamma : 2 * dgamma, gamma_used.cpu_diff()[1]);
    EXPECT_EQ(2 * dbeta, beta.cpu_diff()[1]);
  }
}

TEST(ScaleLayer, AllLayoutsAgree) {
  for (int channels : {5, 16, 19}) {
    SCOPED_TRACE(channels);
    ExpectAllLayoutsAgree(Scale("bias_term: true"), {{3, channels, 5, 4}}, true);
    ExpectAllLayoutsAgree(Scale(""), {{3, channels, 5, 4}, {channels}}, true);
  }
  RunOptions plain;
  plain.keeps_block = false;
  ExpectAllLayoutsAgree(Scale("axis: 0"), {{3, 11, 5, 4}, {3, 11}}, true, plain);
}

TEST(ScaleLayer, Errors) {
  Blob<float> x(2, 3, 2, 2), gamma(vector<int>{4});
  const auto make = [&](const std::string& settings, bool second) {
    vector<Blob<float>*> bottom = {&x};
    if (second) bottom.push_back(&gamma);
    LayerRun<float> run(LayerFromText(Scale(settings)), bottom);
  };
  EXPECT_ERROR(make("", true), "gamma of shape 4 (4) does not fit the bottom's 2 3 2 2 (24)");
  EXPECT_ERROR(make("axis: 2 num_axes: 3", false), "num_axes 3 from axis 2");
  EXPECT_ERROR(make("num_axes: -2", false), "num_axes -2");
  EXPECT_ERROR(make("num_axes: 2147483647", false), "num_axes 2147483647 from axis 1");
  EXPECT_ERROR(make("axis: 7", false), "axis 7 is out of range");
  LayerRun<float> run(LayerFromText(Scale("")), {&x});
  x.Reshape(2, 5, 2, 2);
  EXPECT_ERROR(run.Forward(), "gamma of shape 3 (3) does not fit the bottom's 2 5 2 2 (40)");
  EXPECT_ERROR(
      LayerRun<float>(LayerFromText("type: 'Scale' blobs { shape { dim: 5 } data: 1 data: 1 data: "
                                    "1 data: 1 data: 1 } scale_param { bias_term: true }"),
                      {&x}),
      "1 stored parameter blobs where 2 are expected");
}

}  // namespace
}  // namespace testing
}  // namespace caffe

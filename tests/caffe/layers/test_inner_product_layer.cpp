#include "caffe/layers/inner_product_layer.hpp"

#include "testing/gradient_checker.hpp"
#include "testing/layer_result.hpp"

namespace caffe {
namespace testing {
namespace {

std::string InnerProduct(const std::string& settings) {
  return "name: 'ip' type: 'InnerProduct' inner_product_param { " + settings +
         " weight_filler { type: 'gaussian' } bias_filler { type: 'gaussian' } }";
}

template <typename Dtype>
class InnerProductLayerTest : public ::testing::Test {};
typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(InnerProductLayerTest, Dtypes);

TYPED_TEST(InnerProductLayerTest, HandComputed) {
  Blob<TypeParam> x(2, 1, 1, 2);
  FillValues<TypeParam>(&x, {1, 2, 3, 4});
  for (bool transpose : {false, true}) {
    LayerRun<TypeParam> run(LayerFromText(InnerProduct(std::string("num_output: 3 transpose: ") +
                                                       (transpose ? "true" : "false"))),
                            {&x});
    const auto& blobs = run.layer->blobs();
    ASSERT_EQ(2u, blobs.size());
    EXPECT_EQ(transpose ? (vector<int>{2, 3}) : (vector<int>{3, 2}), blobs[0]->shape());
    EXPECT_EQ((vector<int>{3}), blobs[1]->shape());
    if (transpose) {
      FillValues<TypeParam>(blobs[0].get(), {1, 0, -1, 2, 1, 0.5});
    } else {
      FillValues<TypeParam>(blobs[0].get(), {1, 2, 0, 1, -1, 0.5});
    }
    FillValues<TypeParam>(blobs[1].get(), {10, 20, 30});
    ASSERT_EQ((vector<int>{2, 3}), run.top[0]->shape());
    run.Forward();
    const TypeParam expected[] = {15, 22, 30, 21, 24, 29};
    for (int i = 0; i < 6; ++i) EXPECT_EQ(expected[i], run.top[0]->cpu_data()[i]);
  }
}

TYPED_TEST(InnerProductLayerTest, OtherAxisAndNoBias) {
  Blob<TypeParam> x(2, 3, 4, 1);
  FillGaussian<TypeParam>(&x, 1);
  LayerRun<TypeParam> run(LayerFromText(InnerProduct("num_output: 5 axis: 2 bias_term: false")),
                          {&x});
  ASSERT_EQ((vector<int>{2, 3, 5}), run.top[0]->shape());
  ASSERT_EQ(1u, run.layer->blobs().size());
  run.Forward();
  const TypeParam* w = run.layer->blobs()[0]->cpu_data();
  for (int r = 0; r < 6; ++r) {
    for (int o = 0; o < 5; ++o) {
      double sum = 0;
      for (int k = 0; k < 4; ++k) sum += x.cpu_data()[r * 4 + k] * w[o * 4 + k];
      EXPECT_NEAR(sum, run.top[0]->cpu_data()[r * 5 + o], 1e-5);
    }
  }
}

TEST(InnerProductLayer, Gradient) {
  for (const char* settings : {"num_output: 4", "num_output: 4 transpose: true",
                               "num_output: 2 axis: 2 bias_term: false"}) {
    SCOPED_TRACE(settings);
    Blob<double> x(2, 3, 2, 2), y;
    FillGaussian<double>(&x, 2);
    InnerProductLayer<double> layer(LayerFromText(InnerProduct(settings)));
    GradientChecker<double>(1e-3, 1e-7).CheckGradientExhaustive(&layer, {&x}, {&y});
  }
}

TEST(InnerProductLayer, AllLayoutsAgree) {
  RunOptions options;
  options.keeps_block = false;
  for (const char* settings : {"num_output: 7", "num_output: 7 transpose: true"}) {
    ExpectAllLayoutsAgree(InnerProduct(settings), {{3, 19, 2, 2}}, false, options);
  }
}

TEST(InnerProductLayer, ComputesNoMoreGradientsThanAskedFor) {
  Blob<float> x(2, 3, 1, 1);
  FillGaussian<float>(&x, 3);
  LayerRun<float> run(LayerFromText(InnerProduct("num_output: 2")), {&x});
  run.layer->set_param_propagate_down(0, false);
  run.Forward();
  for (int i = 0; i < 4; ++i) run.top[0]->mutable_cpu_diff()[i] = 1;
  run.Backward({false});
  EXPECT_EQ(0, run.layer->blobs()[0]->asum_diff());
  EXPECT_EQ(0, x.asum_diff());
  EXPECT_EQ(4, run.layer->blobs()[1]->asum_diff());
}

TEST(InnerProductLayer, ParametersGradientsAddUpTheBottomsDoesNot) {
  for (const char* settings : {"num_output: 2", "num_output: 2 transpose: true"}) {
    Blob<double> x(vector<int>{1, 1});
    FillValues<double>(&x, {3});
    LayerRun<double> run(LayerFromText(InnerProduct(settings)), {&x});
    FillValues<double>(run.layer->blobs()[0].get(), {5, 7});
    run.Forward();
    run.top[0]->mutable_cpu_diff()[0] = 1;
    run.top[0]->mutable_cpu_diff()[1] = 2;
    run.Backward();
    run.Backward();
    EXPECT_EQ(6, run.layer->blobs()[0]->cpu_diff()[0]);
    EXPECT_EQ(12, run.layer->blobs()[0]->cpu_diff()[1]);
    EXPECT_EQ(4, run.layer->blobs()[1]->cpu_diff()[1]);
    EXPECT_EQ(19, x.cpu_diff()[0]);
  }
}

TEST(InnerProductLayer, Errors) {
  Blob<float> x(2, 3, 2, 2);
  EXPECT_ERROR(LayerRun<float>(LayerFromText(InnerProduct("")), {&x}),
               "num_output is not given or 0");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(InnerProduct("num_output: 2 axis: 4")), {&x}),
               "axis 4 is out of range");
  const std::string weights = " blobs { shape { dim: 1 dim: 2 } data: [1, 2] }";
  EXPECT_ERROR(LayerRun<float>(LayerFromText(InnerProduct("num_output: 1") + weights), {&x}),
               "1 stored parameter blobs where 2 are expected");
  EXPECT_ERROR(LayerRun<float>(
                   LayerFromText(InnerProduct("num_output: 1 bias_term: false") + weights), {&x}),
               "stored weights of shape 1 2 (2) do not fit 1 outputs of 12 inputs");
  LayerRun<float> run(LayerFromText(InnerProduct("num_output: 2")), {&x});
  x.Reshape(2, 3, 2, 3);
  EXPECT_ERROR(run.Forward(), "2 3 2 3 (36) gives 18 inputs where 12 are expected");
  InnerProductLayer<float> layer(LayerFromText(InnerProduct("num_output: 18")));
  EXPECT_ERROR(layer.SetUp({&x}, {&x}), "cannot work in place");
}

}  // namespace
}  // namespace testing
}  // namespace caffe

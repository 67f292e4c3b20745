#include "caffe/layers/eltwise_layer.hpp"

#include "testing/gradient_checker.hpp"
#include "testing/layer_result.hpp"

namespace caffe {
namespace testing {
namespace {

std::string Eltwise(const std::string& settings) {
  return "name: 'e' type: 'Eltwise' eltwise_param { " + settings + " }";
}

template <typename Dtype>
class EltwiseLayerTest : public ::testing::Test {
 protected:
  EltwiseLayerTest() : a_(1, 2, 1, 2), b_(1, 2, 1, 2), c_(1, 2, 1, 2) {
    FillValues<Dtype>(&a_, {1, -2, 3, 4});
    FillValues<Dtype>(&b_, {5, 6, -7, 4});
    FillValues<Dtype>(&c_, {0.5, 7, 2, -1});
  }
  void Expect(const std::string& settings, const std::vector<Dtype>& expected) {
    LayerRun<Dtype> run(LayerFromText(Eltwise(settings)), {&a_, &b_, &c_});
    run.Forward();
    for (int i = 0; i < 4; ++i) EXPECT_EQ(expected[i], run.top[0]->cpu_data()[i]);
  }
  Blob<Dtype> a_, b_, c_;
};
typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(EltwiseLayerTest, Dtypes);

TYPED_TEST(EltwiseLayerTest, Sum) {
  this->Expect("", {6.5, 11, -2, 7});
}
TYPED_TEST(EltwiseLayerTest, WeightedSum) {
  this->Expect("operation: SUM coeff: 1 coeff: -0.5 coeff: 2", {-0.5, 9, 10.5, 0});
}
TYPED_TEST(EltwiseLayerTest, Product) {
  this->Expect("operation: PROD", {2.5, -84, -42, -16});
}
TYPED_TEST(EltwiseLayerTest, Maximum) {
  this->Expect("operation: MAX", {5, 7, 3, 4});
}

TEST(EltwiseLayer, Gradient) {
  for (const char* settings : {"", "coeff: 1 coeff: -0.5 coeff: 2", "operation: PROD",
                               "operation: PROD stable_prod_grad: false", "operation: MAX"}) {
    SCOPED_TRACE(settings);
    Blob<double> a(2, 3, 2, 2), b(2, 3, 2, 2), c(2, 3, 2, 2), y;
    FillGaussian<double>(&a, 1);
    FillGaussian<double>(&b, 2);
    FillGaussian<double>(&c, 3);
    EltwiseLayer<double> layer(LayerFromText(Eltwise(settings)));
    GradientChecker<double>(1e-5, 1e-6).CheckGradientExhaustive(&layer, {&a, &b, &c}, {&y});
  }
}

TEST(EltwiseLayer, ProductGradientAtZero) {
  Blob<double> a(1, 1, 1, 1), b(1, 1, 1, 1);
  FillValues<double>(&a, {0});
  FillValues<double>(&b, {3});
  LayerRun<double> run(LayerFromText(Eltwise("operation: PROD")), {&a, &b});
  run.Forward();
  run.top[0]->mutable_cpu_diff()[0] = 2;
  run.Backward();
  EXPECT_EQ(6, a.cpu_diff()[0]);
  EXPECT_EQ(0, b.cpu_diff()[0]);
}

// Caffe's choice: of the first two bottoms the second, of later ones none.
TEST(EltwiseLayer, OneOfEqualMaximaGetsTheGradient) {
  Blob<double> a(1, 1, 1, 1), b(1, 1, 1, 1), c(1, 1, 1, 1);
  for (Blob<double>* blob : {&a, &b, &c}) FillValues<double>(blob, {3});
  LayerRun<double> run(LayerFromText(Eltwise("operation: MAX")), {&a, &b, &c});
  run.Forward();
  run.top[0]->mutable_cpu_diff()[0] = 2;
  run.Backward();
  EXPECT_EQ(0, a.cpu_diff()[0]);
  EXPECT_EQ(2, b.cpu_diff()[0]);
  EXPECT_EQ(0, c.cpu_diff()[0]);
}

TEST(EltwiseLayer, WhatHasWeightZeroIsLeftOut) {
  Blob<float> a(1, 1, 1, 1), b(1, 1, 1, 1);
  FillValues<float>(&a, {std::numeric_limits<float>::infinity()});
  FillValues<float>(&b, {3});
  for (const auto& [coeffs, sum] :
       {std::pair<const char*, float>{"coeff: 0 coeff: 2", 6}, {"coeff: 0 coeff: 0", 0}}) {
    LayerRun<float> run(LayerFromText(Eltwise(coeffs)), {&a, &b});
    run.Forward();
    EXPECT_EQ(run.top[0]->cpu_data()[0], sum) << coeffs;
  }
}

TEST(EltwiseLayer, SumKeepsChannelBlocks) {
  for (int channels : {5, 16, 19}) {
    const std::vector<int> shape = {3, channels, 5, 4};
    ExpectAllLayoutsAgree(Eltwise("coeff: 1 coeff: -0.5 coeff: 2"), {shape, shape, shape}, false);
  }
}

TEST(EltwiseLayer, SumTakesBottomsOfDifferentLayouts) {
  Blob<float> a(2, 5, 3, 3), b(2, 5, 3, 3);
  FillGaussian<float>(&a, 1);
  FillGaussian<float>(&b, 2);
  std::vector<float> expected(a.count());
  for (int i = 0; i < a.count(); ++i) expected[i] = a.cpu_data()[i] + b.cpu_data()[i];
  LayerRun<float> run(LayerFromText(Eltwise("")), {&a, &b});
  a.mutable_cpu_data(16);
  b.mutable_cpu_data(8);
  run.Forward();
  EXPECT_EQ(16, run.top[0]->data_block());
  for (int i = 0; i < a.count(); ++i) EXPECT_EQ(expected[i], run.top[0]->cpu_data()[i]);
}

TEST(EltwiseLayer, OtherOperationsOnBlocks) {
  RunOptions plain;
  plain.keeps_block = false;
  for (const char* settings : {"operation: PROD", "operation: MAX"}) {
    ExpectAllLayoutsAgree(Eltwise(settings), {{2, 5, 3, 4}, {2, 5, 3, 4}}, false, plain);
  }
}

TEST(EltwiseLayer, Errors) {
  Blob<float> a(2, 3, 5, 5), b(2, 3, 4, 4);
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Eltwise("")), {&a, &b}),
               "bottom 1 has shape 2 3 4 4 (96), bottom 0 2 3 5 5 (150)");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Eltwise("coeff: 1")), {&a, &a}),
               "1 coeff entries for 2 bottoms");
  EXPECT_ERROR(
      LayerRun<float>(LayerFromText(Eltwise("operation: MAX coeff: 1 coeff: 1")), {&a, &a}),
      "coeff applies to SUM only");
  EltwiseLayer<float> layer(LayerFromText(Eltwise("")));
  Blob<float> c(2, 3, 5, 5);
  EXPECT_ERROR(layer.SetUp({&a, &c}, {&c}), "cannot work in place");
}

}  // namespace
}  // namespace testing
}  // namespace caffe

#include "caffe/layers/concat_layer.hpp"

#include "testing/gradient_checker.hpp"
#include "testing/layer_result.hpp"

namespace caffe {
namespace testing {
namespace {

std::string Concat(const std::string& settings) {
  return "name: 'c' type: 'Concat' concat_param { " + settings + " }";
}

template <typename Dtype>
class ConcatLayerTest : public ::testing::Test {};
typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(ConcatLayerTest, Dtypes);

TYPED_TEST(ConcatLayerTest, JoinsChannels) {
  Blob<TypeParam> a(2, 1, 1, 2), b(2, 2, 1, 2);
  FillValues<TypeParam>(&a, {1, 2, 3, 4});
  FillValues<TypeParam>(&b, {5, 6, 7, 8, 9, 10, 11, 12});
  for (const char* settings : {"", "axis: -3", "concat_dim: 1"}) {
    SCOPED_TRACE(settings);
    LayerRun<TypeParam> run(LayerFromText(Concat(settings)), {&a, &b});
    ASSERT_EQ((vector<int>{2, 3, 1, 2}), run.top[0]->shape());
    run.Forward();
    const TypeParam expected[] = {1, 2, 5, 6, 7, 8, 3, 4, 9, 10, 11, 12};
    for (int i = 0; i < 12; ++i) EXPECT_EQ(expected[i], run.top[0]->cpu_data()[i]);
  }
}

TYPED_TEST(ConcatLayerTest, JoinsImages) {
  Blob<TypeParam> a(1, 1, 1, 2), b(2, 1, 1, 2);
  FillValues<TypeParam>(&a, {1, 2});
  FillValues<TypeParam>(&b, {3, 4, 5, 6});
  LayerRun<TypeParam> run(LayerFromText(Concat("axis: 0")), {&a, &b});
  ASSERT_EQ((vector<int>{3, 1, 1, 2}), run.top[0]->shape());
  run.Forward();
  for (int i = 0; i < 6; ++i) EXPECT_EQ(i + 1, run.top[0]->cpu_data()[i]);
}

TEST(ConcatLayer, Gradient) {
  Blob<double> a(2, 3, 2, 2), b(2, 3, 2, 2), c(2, 3, 2, 2), y;
  FillGaussian<double>(&a, 1);
  FillGaussian<double>(&b, 2);
  FillGaussian<double>(&c, 3);
  for (const char* settings : {"", "axis: 0", "axis: 2", "axis: 3"}) {
    SCOPED_TRACE(settings);
    ConcatLayer<double> layer(LayerFromText(Concat(settings)));
    GradientChecker<double>(1e-3, 1e-8).CheckGradientExhaustive(&layer, {&a, &b, &c}, {&y});
    GradientChecker<double>(1e-3, 1e-8).CheckGradient(&layer, {&a, &b, &c}, {&y}, 1);
  }
}

TEST(ConcatLayer, JoinsWholeBlocks) {
  RunOptions options;
  ExpectAllLayoutsAgree(Concat(""), {{2, 32, 3, 3}, {2, 16, 3, 3}, {2, 32, 3, 3}}, false, options);
  // Where blocks do not meet, the plain layout.
  options.keeps_block = false;
  ExpectAllLayoutsAgree(Concat(""), {{2, 5, 3, 3}, {2, 16, 3, 3}}, false, options);
  ExpectAllLayoutsAgree(Concat(""), {{2, 16, 3, 3}, {2, 5, 3, 3}}, false, options);
  ExpectAllLayoutsAgree(Concat("axis: 2"), {{2, 16, 3, 3}, {2, 16, 2, 3}}, false, options);
}

TEST(ConcatLayer, Errors) {
  Blob<float> a(2, 3, 5, 5), b(2, 3, 4, 4), c(vector<int>{2, 3});
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Concat("")), {&a, &b}),
               "bottom 1 has shape 2 3 4 4 (96), bottom 0 2 3 5 5 (150); only axis 1 may differ");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Concat("")), {&a, &c}),
               "bottom 1 has shape 2 3 (6), bottom 0 2 3 5 5 (150)");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Concat("axis: 1 concat_dim: 1")), {&a, &a}),
               "axis or concat_dim");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Concat("axis: 4")), {&a, &a}),
               "axis 4 is out of range");
}

}  // namespace
}  // namespace testing
}  // namespace caffe

#include "caffe/layers/reshape_layer.hpp"

#include "testing/gradient_checker.hpp"
#include "testing/layer_result.hpp"

namespace caffe {
namespace testing {
namespace {

std::string Reshape(const std::string& settings) {
  return "name: 'r' type: 'Reshape' reshape_param { " + settings + " }";
}

template <typename Dtype>
class ReshapeLayerTest : public ::testing::Test {};
typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(ReshapeLayerTest, Dtypes);

TYPED_TEST(ReshapeLayerTest, ShapesAndValues) {
  Blob<TypeParam> x(2, 3, 4, 5);
  FillGaussian<TypeParam>(&x, 1);
  const struct {
    const char* settings;
    vector<int> shape;
  } cases[] = {
      {"shape { dim: 0 dim: 0 dim: 0 dim: 0 }", {2, 3, 4, 5}},
      {"num_axes: 0", {2, 3, 4, 5}},
      {"shape { dim: 0 dim: -1 }", {2, 60}},
      {"shape { dim: -1 }", {120}},
      {"shape { dim: 0 dim: 0 dim: 20 dim: 1 }", {2, 3, 20, 1}},
      {"shape { dim: 6 } axis: 0 num_axes: 2", {6, 4, 5}},
      {"shape { dim: 2 dim: -1 dim: 1 } axis: 1 num_axes: 2", {2, 2, 6, 1, 5}},
      {"shape { dim: 1 dim: 1 } axis: -1 num_axes: 0", {2, 3, 4, 5, 1, 1}},
      {"shape { dim: 0 dim: -1 } axis: 1", {2, 3, 20}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.settings);
    LayerRun<TypeParam> run(LayerFromText(Reshape(c.settings)), {&x});
    EXPECT_EQ(c.shape, run.top[0]->shape());
    run.Forward();
    for (int i = 0; i < x.count(); ++i) EXPECT_EQ(x.cpu_data()[i], run.top[0]->cpu_data()[i]);
  }
}

TYPED_TEST(ReshapeLayerTest, FollowsTheBottom) {
  Blob<TypeParam> x(2, 3, 4, 5);
  LayerRun<TypeParam> run(LayerFromText(Reshape("shape { dim: 0 dim: -1 }")), {&x});
  x.Reshape(7, 3, 2, 2);
  FillGaussian<TypeParam>(&x, 1);
  run.Forward();
  EXPECT_EQ((vector<int>{7, 12}), run.top[0]->shape());
}

TEST(ReshapeLayer, Gradient) {
  Blob<double> x(2, 3, 2, 2), y;
  FillGaussian<double>(&x, 2);
  ReshapeLayer<double> layer(LayerFromText(Reshape("shape { dim: 4 dim: -1 }")));
  GradientChecker<double>(1e-3, 1e-8).CheckGradientExhaustive(&layer, {&x}, {&y});
}

TEST(ReshapeLayer, AllLayoutsAgree) {
  RunOptions options;
  options.keeps_block = false;
  ExpectAllLayoutsAgree(Reshape("shape { dim: 5 dim: -1 }"), {{2, 5, 3, 3}}, false, options);
}

TEST(ReshapeLayer, Errors) {
  Blob<float> x(2, 3, 2, 2);
  const auto make = [&x](const std::string& settings) {
    LayerRun<float> run(LayerFromText(Reshape(settings)), {&x});
  };
  EXPECT_ERROR(make("shape { dim: 5 dim: -1 }"), "2 3 2 2 (24) is no multiple of 5");
  EXPECT_ERROR(make("shape { dim: 5 dim: 5 }"),
               "the new shape has 25 values, the bottom's 2 3 2 2");
  EXPECT_ERROR(make("shape { dim: -1 dim: -1 }"), "more than one dim is -1");
  EXPECT_ERROR(make("shape { dim: -2 }"), "dim -2");
  EXPECT_ERROR(make("shape { dim: 1 dim: 1 dim: 1 dim: 24 dim: 0 }"), "dim 4 is 0");
  EXPECT_ERROR(make("axis: 3 num_axes: 2"), "axis 3 and num_axes 2");
  EXPECT_ERROR(make("num_axes: -2"), "num_axes -2");
  EXPECT_ERROR(make("axis: 1 num_axes: 2147483647"), "axis 1 and num_axes 2147483647");
  ReshapeLayer<float> layer(LayerFromText(Reshape("shape { dim: 0 }")));
  EXPECT_ERROR(layer.SetUp({&x}, {&x}), "cannot work in place");
}

}  // namespace
}  // namespace testing
}  // namespace caffe

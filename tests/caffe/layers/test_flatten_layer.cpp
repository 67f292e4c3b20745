#include "caffe/layers/flatten_layer.hpp"

#include "testing/gradient_checker.hpp"
#include "testing/layer_result.hpp"

namespace caffe {
namespace testing {
namespace {

std::string Flatten(const std::string& settings) {
  return "name: 'f' type: 'Flatten' flatten_param { " + settings + " }";
}

template <typename Dtype>
class FlattenLayerTest : public ::testing::Test {};
typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(FlattenLayerTest, Dtypes);

TYPED_TEST(FlattenLayerTest, ShapesAndValues) {
  Blob<TypeParam> x(2, 3, 4, 5);
  FillGaussian<TypeParam>(&x, 1);
  const struct {
    const char* settings;
    vector<int> shape;
  } cases[] = {{"", {2, 60}},
               {"axis: 0", {120}},
               {"axis: 2", {2, 3, 20}},
               {"end_axis: -2", {2, 12, 5}},
               {"axis: 0 end_axis: 1", {6, 4, 5}}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.settings);
    LayerRun<TypeParam> run(LayerFromText(Flatten(c.settings)), {&x});
    EXPECT_EQ(c.shape, run.top[0]->shape());
    run.Forward();
    for (int i = 0; i < x.count(); ++i) EXPECT_EQ(x.cpu_data()[i], run.top[0]->cpu_data()[i]);
  }
}

TEST(FlattenLayer, Gradient) {
  Blob<double> x(2, 3, 2, 2), y;
  FillGaussian<double>(&x, 2);
  FlattenLayer<double> layer(LayerFromText(Flatten("")));
  GradientChecker<double>(1e-3, 1e-8).CheckGradientExhaustive(&layer, {&x}, {&y});
}

TEST(FlattenLayer, AllLayoutsAgree) {
  RunOptions options;
  options.keeps_block = false;
  ExpectAllLayoutsAgree(Flatten(""), {{2, 5, 3, 3}}, false, options);
}

TEST(FlattenLayer, Errors) {
  Blob<float> x(2, 3, 2, 2);
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Flatten("axis: 2 end_axis: 1")), {&x}),
               "axis 2 lies behind end_axis 1");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Flatten("axis: 5")), {&x}), "axis 5 is out of range");
  FlattenLayer<float> layer(LayerFromText(Flatten("")));
  EXPECT_ERROR(layer.SetUp({&x}, {&x}), "cannot work in place");
}

}  // namespace
}  // namespace testing
}  // namespace caffe

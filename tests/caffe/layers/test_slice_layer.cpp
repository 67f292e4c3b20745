#include "caffe/layers/slice_layer.hpp"

#include "testing/gradient_checker.hpp"
#include "testing/layer_result.hpp"

namespace caffe {
namespace testing {
namespace {

std::string Slice(const std::string& settings) {
  return "name: 's' type: 'Slice' slice_param { " + settings + " }";
}

template <typename Dtype>
class SliceLayerTest : public ::testing::Test {};
typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(SliceLayerTest, Dtypes);

TYPED_TEST(SliceLayerTest, CutsAtSlicePoints) {
  Blob<TypeParam> x(2, 4, 1, 1);
  FillValues<TypeParam>(&x, {1, 2, 3, 4, 5, 6, 7, 8});
  for (const char* settings :
       {"slice_point: 1", "axis: -3 slice_point: 1", "slice_dim: 1 slice_point: 1"}) {
    SCOPED_TRACE(settings);
    LayerRun<TypeParam> run(LayerFromText(Slice(settings)), {&x}, 2);
    ASSERT_EQ((vector<int>{2, 1, 1, 1}), run.top[0]->shape());
    ASSERT_EQ((vector<int>{2, 3, 1, 1}), run.top[1]->shape());
    run.Forward();
    const TypeParam first[] = {1, 5}, second[] = {2, 3, 4, 6, 7, 8};
    for (int i = 0; i < 2; ++i) EXPECT_EQ(first[i], run.top[0]->cpu_data()[i]);
    for (int i = 0; i < 6; ++i) EXPECT_EQ(second[i], run.top[1]->cpu_data()[i]);
  }
}

TYPED_TEST(SliceLayerTest, EqualPartsWithoutSlicePoints) {
  Blob<TypeParam> x(6, 1, 1, 1);
  FillValues<TypeParam>(&x, {1, 2, 3, 4, 5, 6});
  LayerRun<TypeParam> run(LayerFromText(Slice("axis: 0")), {&x}, 3);
  run.Forward();
  for (int i = 0; i < 6; ++i) EXPECT_EQ(i + 1, run.top[i / 2]->cpu_data()[i % 2]);
}

TEST(SliceLayer, Gradient) {
  Blob<double> x(3, 6, 2, 3), a, b, c;
  FillGaussian<double>(&x, 1);
  for (const char* settings : {"", "axis: 0", "axis: 3", "slice_point: 1 slice_point: 4"}) {
    SCOPED_TRACE(settings);
    SliceLayer<double> layer(LayerFromText(Slice(settings)));
    GradientChecker<double>(1e-3, 1e-8).CheckGradientExhaustive(&layer, {&x}, {&a, &b, &c});
  }
}

TEST(SliceLayer, AllLayoutsAgree) {
  RunOptions options;
  options.keeps_block = false;
  options.tops = 2;
  ExpectAllLayoutsAgree(Slice("slice_point: 3"), {{2, 19, 3, 3}}, false, options);
}

TEST(SliceLayer, UndoesConcat) {
  Blob<float> a(2, 3, 2, 2), b(2, 5, 2, 2);
  FillGaussian<float>(&a, 1);
  FillGaussian<float>(&b, 2);
  LayerRun<float> concat(LayerFromText("type: 'Concat'"), {&a, &b});
  concat.Forward();
  LayerRun<float> slice(LayerFromText(Slice("slice_point: 3")), {concat.top[0]}, 2);
  slice.Forward();
  for (int i = 0; i < a.count(); ++i) EXPECT_EQ(a.cpu_data()[i], slice.top[0]->cpu_data()[i]);
  for (int i = 0; i < b.count(); ++i) EXPECT_EQ(b.cpu_data()[i], slice.top[1]->cpu_data()[i]);
}

TEST(SliceLayer, Errors) {
  Blob<float> x(2, 5, 1, 1);
  const auto make = [&x](const std::string& settings) {
    LayerRun<float> run(LayerFromText(Slice(settings)), {&x}, 2);
  };
  EXPECT_ERROR(make(""), "axis 1 of extent 5 cannot be cut into 2 equal parts");
  EXPECT_ERROR(make("slice_point: 1 slice_point: 2"), "2 slice_point entries for 2 tops");
  EXPECT_ERROR(make("slice_point: 0"), "slice_point 0 does not lie between 0 and 5");
  EXPECT_ERROR(make("slice_point: 7"), "slice_point 7 does not lie between 0 and 5");
  EXPECT_ERROR(make("slice_point: 5"), "does not lie between 5 and 5");
  EXPECT_ERROR(make("axis: 1 slice_dim: 1"), "axis or slice_dim");
}

}  // namespace
}  // namespace testing
}  // namespace caffe

#include "caffe/layers/input_layer.hpp"

#include "testing/blob_util.hpp"

namespace caffe {
namespace {

using testing::LayerFromText;
using testing::LayerRun;

LayerParameter Param(const string& shapes) {
  return LayerFromText("name: 'in' type: 'Input' input_param { " + shapes + " }");
}

TEST(InputLayerTest, Shapes) {
  LayerRun<float> one(Param("shape { dim: 2 dim: 3 }"), {}, 2);
  EXPECT_EQ(one.top[0]->shape(), (vector<int>{2, 3}));
  EXPECT_EQ(one.top[1]->shape(), (vector<int>{2, 3}));
  LayerRun<double> each(Param("shape { dim: 2 } shape { dim: 4 dim: 5 }"), {}, 2);
  EXPECT_EQ(each.top[0]->shape(), (vector<int>{2}));
  EXPECT_EQ(each.top[1]->shape(), (vector<int>{4, 5}));
}

TEST(InputLayerTest, LeavesTheTopAlone) {
  LayerRun<float> run(Param("shape { dim: 3 }"), {});
  testing::FillValues<float>(run.top[0], {1, 2, 3});
  run.Forward();
  EXPECT_EQ(run.top[0]->cpu_data()[2], 3);
  run.top[0]->Reshape({2});  // the caller's choice
  run.Forward();
  EXPECT_EQ(run.top[0]->count(), 2);
}

TEST(InputLayerTest, WrongNumberOfShapes) {
  EXPECT_ERROR(LayerRun<float>(Param("shape { dim: 1 } shape { dim: 1 }"), {}, 3),
               "2 shapes for 3 tops");
}

TEST(InputLayerTest, APassNeedsAShape) {
  LayerRun<float> run(Param(""), {}, 2);
  run.top[0]->Reshape(vector<int>{0, 3});  // no images are fine
  EXPECT_ERROR(run.Forward(), "top 1 has no shape");
  run.top[1]->Reshape({2});
  run.Forward();
}

}  // namespace
}  // namespace caffe

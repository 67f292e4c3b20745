#include "caffe/layers/dummy_data_layer.hpp"

#include "caffe/util/rng.hpp"
#include "testing/blob_util.hpp"

namespace caffe {
namespace {

using testing::LayerFromText;
using testing::LayerRun;

template <typename Dtype>
class DummyDataLayerTest : public ::testing::Test {
 protected:
  typedef LayerRun<Dtype> Run;
  static LayerParameter Param(const string& text) {
    return LayerFromText("name: 'd' type: 'DummyData' dummy_data_param { " + text + " }");
  }
  static vector<Dtype> Values(const Blob<Dtype>& blob) {
    return vector<Dtype>(blob.cpu_data(), blob.cpu_data() + blob.count());
  }
};

typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(DummyDataLayerTest, Dtypes);

TYPED_TEST(DummyDataLayerTest, OneForAllTops) {
  LayerRun<TypeParam> run(this->Param("shape { dim: 2 dim: 3 } data_filler { value: 4 }"), {}, 2);
  for (const auto* top : run.top) EXPECT_EQ(this->Values(*top), vector<TypeParam>(6, 4));
  run.Forward();
  for (const auto* top : run.top) {
    EXPECT_EQ(top->shape(), (vector<int>{2, 3}));
    EXPECT_EQ(this->Values(*top), vector<TypeParam>(6, 4));
  }
}

TYPED_TEST(DummyDataLayerTest, OneEach) {
  LayerRun<TypeParam> run(this->Param("num: 5 num: 6 channels: 2 height: 1 width: 3"
                                      " data_filler { value: 7 }"
                                      " data_filler { type: 'uniform' min: 2 max: 3 }"),
                          {}, 2);
  run.Forward();
  EXPECT_EQ(run.top[0]->shape(), (vector<int>{5, 2, 1, 3}));
  EXPECT_EQ(run.top[1]->shape(), (vector<int>{6, 2, 1, 3}));
  EXPECT_EQ(run.top[0]->cpu_data()[29], 7);
  for (const TypeParam value : this->Values(*run.top[1])) {
    EXPECT_GE(value, 2);
    EXPECT_LE(value, 3);
  }
}

TYPED_TEST(DummyDataLayerTest, WithoutFillerZero) {
  LayerRun<TypeParam> run(this->Param("shape { dim: 3 }"), {});
  run.Forward();
  EXPECT_EQ(this->Values(*run.top[0]), vector<TypeParam>(3, 0));
}

TYPED_TEST(DummyDataLayerTest, NumbersDependOnThePass) {
  const LayerParameter param = this->Param("shape { dim: 9 } data_filler { type: 'gaussian' }");
  Caffe::set_random_seed(3);
  LayerRun<TypeParam> run(param, {});
  vector<vector<TypeParam>> passes;
  for (int i = 0; i < 3; ++i) {
    run.Forward();
    passes.push_back(this->Values(*run.top[0]));
  }
  EXPECT_NE(passes[0], passes[1]);
  run.layer->set_next_pass(1);
  run.Forward();
  EXPECT_EQ(this->Values(*run.top[0]), passes[1]);
  Caffe::set_random_seed(3);
  LayerRun<TypeParam> again(param, {});
  again.layer->set_next_pass(2);
  again.Forward();
  EXPECT_EQ(this->Values(*again.top[0]), passes[2]);
}

TYPED_TEST(DummyDataLayerTest, LeavesTheThreadsStreamAlone) {
  const LayerParameter param = this->Param("shape { dim: 9 } data_filler { type: 'gaussian' }");
  Caffe::set_random_seed(3);
  const uint32_t expected = (*caffe_rng())();
  Caffe::set_random_seed(3);
  LayerRun<TypeParam> run(param, {});
  run.Forward();
  EXPECT_EQ((*caffe_rng())(), expected);
}

TYPED_TEST(DummyDataLayerTest, Errors) {
  const auto set_up = [this](const string& text) {
    LayerRun<TypeParam> run(this->Param(text), {}, 3);
  };
  EXPECT_ERROR(set_up("shape { dim: 1 } shape { dim: 1 }"), "2 shape entries for 3 tops");
  EXPECT_ERROR(set_up("shape { dim: 1 } data_filler { } data_filler { }"), "2 data_filler");
  EXPECT_ERROR(set_up("num: 1 channels: 1 height: 1"), "0 width entries for 3 tops");
  EXPECT_ERROR(set_up("shape { dim: 1 } num: 2"), "has shape together with num");
}

}  // namespace
}  // namespace caffe

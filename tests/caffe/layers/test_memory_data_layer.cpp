#include "caffe/layers/memory_data_layer.hpp"

#include <numeric>
#include <opencv2/core.hpp>

#include "testing/blob_util.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

using testing::ByteDatum;
using testing::LayerFromText;
using testing::LayerRun;

template <typename Dtype>
class MemoryDataLayerTest : public ::testing::Test {
 protected:
  explicit MemoryDataLayerTest()
      : run_(LayerFromText("name: 'm' type: 'MemoryData' transform_param { scale: 0.5 }"
                           " memory_data_param { batch_size: 2 channels: 3 height: 1 width: 2 }"),
             {}, 2),
        layer_(dynamic_cast<MemoryDataLayer<Dtype>*>(run_.layer.get())) {}
  vector<Dtype> NextLabels() {
    run_.Forward();
    return vector<Dtype>(run_.top[1]->cpu_data(), run_.top[1]->cpu_data() + run_.top[1]->count());
  }
  LayerRun<Dtype> run_;
  MemoryDataLayer<Dtype>* layer_;
};

typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(MemoryDataLayerTest, Dtypes);

TYPED_TEST(MemoryDataLayerTest, UsesTheCallersMemory) {
  typedef vector<TypeParam> Values;
  Values data(4 * 6), labels = {7, 8, 9, 10};
  std::iota(data.begin(), data.end(), TypeParam(0));
  this->layer_->Reset(data.data(), labels.data(), 4);
  EXPECT_EQ(this->NextLabels(), (Values{7, 8}));
  EXPECT_EQ(this->run_.top[0]->shape(), (vector<int>{2, 3, 1, 2}));
  EXPECT_EQ(this->run_.top[0]->cpu_data(), data.data());
  EXPECT_EQ(this->NextLabels(), (Values{9, 10}));
  EXPECT_EQ(this->run_.top[0]->cpu_data()[0], 12);
  EXPECT_EQ(this->NextLabels(), (Values{7, 8}));
  // New memory is read from its beginning.
  Values more = {1, 2, 3, 4};
  this->layer_->Reset(data.data(), more.data(), 4);
  EXPECT_EQ(this->NextLabels(), (Values{1, 2}));
  EXPECT_ERROR(this->layer_->set_batch_size(4), "of 4 images 2 are not used yet");
  EXPECT_EQ(this->NextLabels(), (Values{3, 4}));
  this->layer_->set_batch_size(4);
  EXPECT_EQ(this->NextLabels(), (Values{1, 2, 3, 4}));
  this->layer_->set_next_pass(0);
  EXPECT_EQ(this->NextLabels().size(), 4u);
}

TYPED_TEST(MemoryDataLayerTest, TransformsAddedImages) {
  this->layer_->AddDatumVector({ByteDatum(3, 1, 2, 4), ByteDatum(3, 1, 2, 5, 100)});
  EXPECT_EQ(this->NextLabels(), (vector<TypeParam>{4, 5}));
  EXPECT_EQ(this->run_.top[0]->cpu_data()[6 + 1], TypeParam(50.5));
  const cv::Mat image(1, 2, CV_8UC3, cv::Scalar(10, 20, 30));
  this->layer_->AddMatVector({image, image}, {1, 2});
  EXPECT_EQ(this->NextLabels(), (vector<TypeParam>{1, 2}));
  EXPECT_EQ(this->run_.top[0]->cpu_data()[2], 10);
}

TEST(MemoryDataLayer, CropsFollowTheSeed) {
  const auto crops = [](unsigned int seed) {
    Caffe::set_random_seed(seed);
    LayerRun<float> run(LayerFromText("name: 'm' type: 'MemoryData' phase: TRAIN"
                                      " transform_param { crop_size: 1 } memory_data_param {"
                                      " batch_size: 8 channels: 1 height: 1 width: 1 }"),
                        {}, 2);
    vector<Datum> images;
    for (int i = 0; i < 8; ++i) {
      images.push_back(ByteDatum(1, 8, 8, 0));
      for (int p = 0; p < 64; ++p) (*images.back().mutable_data())[p] = static_cast<char>(p);
    }
    auto* layer = dynamic_cast<MemoryDataLayer<float>*>(run.layer.get());
    vector<float> values;
    for (int call = 0; call < 2; ++call) {
      layer->AddDatumVector(images);
      run.Forward();
      values.insert(values.end(), run.top[0]->cpu_data(), run.top[0]->cpu_data() + 8);
    }
    return values;
  };
  const vector<float> first = crops(1);
  EXPECT_EQ(first, crops(1));
  EXPECT_NE(first, crops(2));
  EXPECT_NE(vector<float>(first.begin(), first.begin() + 8),
            vector<float>(first.begin() + 8, first.end()));
}

TYPED_TEST(MemoryDataLayerTest, Errors) {
  EXPECT_ERROR(this->run_.Forward(), "has no data");
  vector<TypeParam> data(18), labels(3);
  EXPECT_ERROR(this->layer_->Reset(data.data(), labels.data(), 3), "3 images are no multiple");
  EXPECT_ERROR(this->layer_->AddDatumVector({ByteDatum(3, 1, 2, 0)}), "1 images are no multiple");
  EXPECT_ERROR(this->layer_->AddDatumVector({ByteDatum(1, 1, 2, 0), ByteDatum(3, 1, 2, 0)}),
               "an image of 1x1x2");
  EXPECT_ERROR(this->layer_->AddMatVector({}, {1}), "0 images with 1 labels");
  this->layer_->Reset(data.data(), labels.data(), 2);
  EXPECT_ERROR(this->layer_->set_batch_size(4),
               "batch_size cannot become 4: of 2 images 2 are not used yet");
  // Once they are used, new ones may come in another number.
  this->run_.Forward();
  this->layer_->set_batch_size(3);
  EXPECT_ERROR(this->run_.Forward(), "has no data");
  this->layer_->Reset(data.data(), labels.data(), 3);
  this->run_.Forward();
  EXPECT_EQ(this->run_.top[0]->num(), 3);
  EXPECT_ERROR(LayerRun<TypeParam>(LayerFromText("type: 'MemoryData' memory_data_param {"
                                                 " batch_size: 2 channels: 3 height: 4 }"),
                                   {}, 2),
               "2, 3, 4, 0");
  EXPECT_ERROR(LayerRun<TypeParam>(
                   LayerFromText("type: 'MemoryData' memory_data_param {"
                                 " batch_size: 70000 channels: 3 height: 1000 width: 1000 }"),
                   {}, 2),
               "blob shape 70000x3x1000x1000 exceeds");
}

}  // namespace
}  // namespace caffe

#include <gtest/gtest.h>

#include "testing/blob_util.hpp"
#include "testing/gradient_checker.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

// Scores of four images, three classes; right at k = 1: images 0 and 3; at k = 2 image 1, too.
template <typename Dtype>
struct Scores {
  Scores() : x(std::vector<int>{4, 3}), labels(std::vector<int>{4}) {
    FillValues(&x, {5, 1, 2, 3, 4, 1, 1, 2, 3, 0, 1, 9});
    FillValues(&labels, {0, 0, 0, 2});
  }
  std::vector<Dtype> Run(const std::string& param, int tops = 1) {
    LayerRun<Dtype> run(LayerFromText("type: 'Accuracy' accuracy_param { " + param + " }"),
                        {&x, &labels}, tops);
    run.Forward();
    std::vector<Dtype> result(1, run.top[0]->cpu_data()[0]);
    if (tops > 1) {
      const Dtype* each = run.top[1]->cpu_data();
      result.insert(result.end(), each, each + run.top[1]->count());
    }
    return result;
  }
  Blob<Dtype> x, labels;
};

template <typename Dtype>
class AccuracyLayerTest : public ::testing::Test {};
typedef ::testing::Types<float, double> Types;
TYPED_TEST_SUITE(AccuracyLayerTest, Types);

TYPED_TEST(AccuracyLayerTest, TopK) {
  Scores<TypeParam> s;
  EXPECT_EQ(TypeParam(0.5), s.Run("")[0]);
  EXPECT_EQ(TypeParam(0.75), s.Run("top_k: 2")[0]);
  EXPECT_EQ(TypeParam(1), s.Run("top_k: 3")[0]);
}

TYPED_TEST(AccuracyLayerTest, PerClass) {
  const std::vector<TypeParam> result = Scores<TypeParam>().Run("", 2);
  ASSERT_EQ(4u, result.size());
  EXPECT_EQ(TypeParam(1) / 3, result[1]);
  EXPECT_EQ(0, result[2]);
  EXPECT_EQ(1, result[3]);
}

TYPED_TEST(AccuracyLayerTest, IgnoreLabel) {
  Scores<TypeParam> s;
  EXPECT_EQ(1, s.Run("ignore_label: 0")[0]);
  FillValues(&s.labels, {-1, 0, -1, -1});
  EXPECT_EQ(0, s.Run("ignore_label: -1")[0]);
}

TYPED_TEST(AccuracyLayerTest, TiesAreWrong) {
  Scores<TypeParam> s;
  std::fill_n(s.x.mutable_cpu_data(), s.x.count(), TypeParam(1));
  EXPECT_EQ(0, s.Run("")[0]);
  EXPECT_EQ(0, s.Run("top_k: 2")[0]);
}

TYPED_TEST(AccuracyLayerTest, ScoresThatAreNoNumbersAreWrong) {
  Scores<TypeParam> own, another;
  std::fill_n(own.x.mutable_cpu_data(), own.x.count(), std::numeric_limits<TypeParam>::quiet_NaN());
  EXPECT_EQ(0, own.Run("")[0]);
  EXPECT_EQ(0, own.Run("top_k: 2")[0]);
  const int other = (static_cast<int>(another.labels.cpu_data()[0]) + 1) % 3;
  another.x.mutable_cpu_data()[other] = std::numeric_limits<TypeParam>::quiet_NaN();
  const TypeParam with = another.Run("")[0];
  another.x.mutable_cpu_data()[other] = 100;
  EXPECT_EQ(another.Run("")[0], with);
}

TYPED_TEST(AccuracyLayerTest, Positions) {
  // One image, two classes, three positions: predicted 0, 1, 1.
  Blob<TypeParam> x(1, 2, 1, 3), labels(1, 1, 1, 3);
  FillValues(&x, {2, 0, 1, 1, 3, 4});
  FillValues(&labels, {0, 1, 0});
  LayerRun<TypeParam> run(LayerFromText("type: 'Accuracy'"), {&x, &labels});
  run.Forward();
  EXPECT_EQ(TypeParam(2) / 3, run.top[0]->cpu_data()[0]);
  // The same with the classes last.
  Blob<TypeParam> last(1, 1, 3, 2);
  FillValues(&last, {2, 1, 0, 3, 1, 4});
  LayerRun<TypeParam> other(LayerFromText("type: 'Accuracy' accuracy_param { axis: -1 }"),
                            {&last, &labels});
  other.Forward();
  EXPECT_EQ(TypeParam(2) / 3, other.top[0]->cpu_data()[0]);
}

TEST(AccuracyLayer, Errors) {
  Scores<float> s;
  EXPECT_ERROR(s.Run("top_k: 0"), "top_k is 0");
  EXPECT_ERROR(s.Run("top_k: 4"), "top_k 4 exceeds the 3 classes");
  FillValues(&s.labels, {0.f, 0.f, 7.f, 0.f});
  EXPECT_ERROR(s.Run(""), "label 7 of image 2");
  EXPECT_ERROR(s.Run(""), "3 classes");
  Blob<float> few(std::vector<int>{3});
  EXPECT_ERROR(LayerRun<float>(LayerFromText("type: 'Accuracy'"), {&s.x, &few}), "3 labels");
  LayerRun<float> run(LayerFromText("type: 'Accuracy'"), {&s.x, &s.labels});
  EXPECT_ERROR(run.Backward({true, false}), "no gradient");
  EXPECT_NO_THROW(run.Backward({false, false}));
}

}  // namespace
}  // namespace caffe

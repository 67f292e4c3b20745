#include "caffe/filler.hpp"

#include <gtest/gtest.h>

#include "testing/blob_util.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

template <typename Dtype>
class FillerTest : public ::testing::Test {
 protected:
  void SetUp() override { Caffe::set_random_seed(1701); }

  // Fills a blob of that shape.
  void Fill(const std::string& text, const std::vector<int>& shape) {
    FillerParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(text, &param));
    blob_.Reshape(shape);
    shared_ptr<Filler<Dtype>>(GetFiller<Dtype>(param))->Fill(&blob_);
    data_ = blob_.cpu_data();
    sum_ = sum_squares_ = 0;
    for (int i = 0; i < blob_.count(); ++i) {
      sum_ += data_[i];
      sum_squares_ += double(data_[i]) * data_[i];
    }
  }
  double Mean() const { return sum_ / blob_.count(); }
  double Std() const { return std::sqrt(sum_squares_ / blob_.count() - Mean() * Mean()); }
  void ExpectWithin(double low, double high) {
    for (int i = 0; i < blob_.count(); ++i) {
      ASSERT_GE(data_[i], low);
      ASSERT_LE(data_[i], high);
    }
  }

  Blob<Dtype> blob_;
  const Dtype* data_ = nullptr;
  double sum_ = 0, sum_squares_ = 0;
};

typedef ::testing::Types<float, double> Types;
TYPED_TEST_SUITE(FillerTest, Types);

TYPED_TEST(FillerTest, Constant) {
  this->Fill("value: 2.5", {2, 3});
  this->ExpectWithin(2.5, 2.5);
  this->Fill("", {2, 3});
  this->ExpectWithin(0, 0);
}

TYPED_TEST(FillerTest, Uniform) {
  this->Fill("type: 'uniform' min: -1 max: 3", {100, 100});
  this->ExpectWithin(-1, 3);
  EXPECT_NEAR(1, this->Mean(), 0.06);
  EXPECT_NEAR(4 / std::sqrt(12), this->Std(), 0.03);
}

TYPED_TEST(FillerTest, Gaussian) {
  this->Fill("type: 'gaussian' mean: 5 std: 0.5", {100, 100});
  EXPECT_NEAR(5, this->Mean(), 0.025);
  EXPECT_NEAR(0.5, this->Std(), 0.02);
  this->Fill("type: 'gaussian' mean: 5 std: 0", {100, 1});
  this->ExpectWithin(5, 5);
}

TYPED_TEST(FillerTest, SparseGaussian) {
  this->Fill("type: 'gaussian' sparse: 5", {50, 400});
  int kept = 0;
  for (int i = 0; i < this->blob_.count(); ++i) kept += this->data_[i] != 0;
  // 5 of 50 outputs per input; five standard deviations.
  EXPECT_NEAR(2000, kept, 5 * std::sqrt(20000 * 0.1 * 0.9));
}

TYPED_TEST(FillerTest, PositiveUnitball) {
  this->Fill("type: 'positive_unitball'", {4, 3, 5, 5});
  this->ExpectWithin(0, 1);
  for (int n = 0; n < 4; ++n) {
    double sum = 0;
    for (int i = 0; i < 75; ++i) sum += this->data_[n * 75 + i];
    EXPECT_NEAR(1, sum, 1e-5);
  }
}

// fan_in 8 * 3 * 3 = 72, fan_out 60 * 3 * 3 = 540.
TYPED_TEST(FillerTest, XavierAndMsra) {
  const std::pair<const char*, double> norms[] = {
      {"FAN_IN", 72}, {"FAN_OUT", 540}, {"AVERAGE", 306}};
  for (const auto& norm : norms) {
    const std::string mode = std::string(" variance_norm: ") + norm.first;
    const double bound = std::sqrt(3 / norm.second);
    this->Fill("type: 'xavier'" + mode, {60, 8, 3, 3});
    this->ExpectWithin(-bound * 1.000001, bound * 1.000001);
    EXPECT_NEAR(std::sqrt(1 / norm.second), this->Std(), 0.05 * bound);
    EXPECT_NEAR(0, this->Mean(), 0.05 * bound);
    this->Fill("type: 'xavier'" + mode, {60, 8, 3, 1, 3});  // any number of axes
    this->ExpectWithin(-bound * 1.000001, bound * 1.000001);
    EXPECT_NEAR(std::sqrt(1 / norm.second), this->Std(), 0.05 * bound);
    const double std = std::sqrt(2 / norm.second);
    this->Fill("type: 'msra'" + mode, {60, 8, 3, 3});
    EXPECT_NEAR(std, this->Std(), 0.06 * std);
    EXPECT_NEAR(0, this->Mean(), 0.08 * std);
  }
}

TYPED_TEST(FillerTest, Bilinear) {
  // Factor 2: (1 3 3 1) / 4 in each direction.
  this->Fill("type: 'bilinear'", {2, 1, 4, 4});
  const double line[] = {0.25, 0.75, 0.75, 0.25};
  for (int i = 0; i < 32; ++i) EXPECT_NEAR(line[i / 4 % 4] * line[i % 4], this->data_[i], 1e-6);
  // Factor 3: (1 2 3 2 1) / 3.
  this->Fill("type: 'bilinear'", {1, 1, 5, 5});
  const double odd[] = {1 / 3., 2 / 3., 1, 2 / 3., 1 / 3.};
  for (int i = 0; i < 25; ++i) EXPECT_NEAR(odd[i / 5] * odd[i % 5], this->data_[i], 1e-6);
  // A kernel of 3, symmetric as well: (1 2 1) / 2.
  this->Fill("type: 'bilinear'", {1, 1, 3, 3});
  const double three[] = {0.5, 1, 0.5};
  for (int i = 0; i < 9; ++i) EXPECT_NEAR(three[i / 3] * three[i % 3], this->data_[i], 1e-6);
}

// Code that names a filler's class gets the values of its type.
TYPED_TEST(FillerTest, ClassesAreTheTypes) {
  FillerParameter param;
  param.set_mean(2);
  param.set_std(3);
  Blob<TypeParam> blob({50});
  Caffe::set_random_seed(1701);
  GaussianFiller<TypeParam>(param).Fill(&blob);
  Caffe::set_random_seed(1701);
  this->Fill("type: 'gaussian' mean: 2 std: 3", {50});
  EXPECT_TRUE(std::equal(this->data_, this->data_ + 50, blob.cpu_data()));
}

TYPED_TEST(FillerTest, SameSeedSameValues) {
  this->Fill("type: 'gaussian'", {10});
  const std::vector<TypeParam> first(this->data_, this->data_ + 10);
  this->Fill("type: 'gaussian'", {10});
  EXPECT_FALSE(std::equal(first.begin(), first.end(), this->data_));
  Caffe::set_random_seed(1701);
  this->Fill("type: 'gaussian'", {10});
  EXPECT_TRUE(std::equal(first.begin(), first.end(), this->data_));
}

TYPED_TEST(FillerTest, Errors) {
  EXPECT_ERROR(this->Fill("type: 'gausian'", {1}), "'gausian' (did you mean 'gaussian'?)");
  EXPECT_ERROR(this->Fill("type: 'uniform' min: 2 max: 1", {1}), "min 2 exceeds max 1");
  EXPECT_ERROR(this->Fill("type: 'gaussian' std: -1", {1}), "std is -1");
  EXPECT_ERROR(this->Fill("type: 'gaussian' sparse: -2", {1}), "with sparse -2");
  EXPECT_ERROR(this->Fill("type: 'xavier' sparse: 3", {1}), "filler 'xavier' with sparse 3");
  EXPECT_ERROR(this->Fill("type: 'bilinear'", {1, 1, 3, 4}), "square");
}

}  // namespace
}  // namespace caffe

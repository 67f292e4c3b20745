#include "caffe/blob.hpp"

#include <gtest/gtest.h>

#include "testing/blob_util.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

template <typename Dtype>
class BlobTest : public ::testing::Test {};
typedef ::testing::Types<float, double> Types;
TYPED_TEST_SUITE(BlobTest, Types);

TYPED_TEST(BlobTest, Shape) {
  Blob<TypeParam> blob(2, 3, 4, 5);
  EXPECT_EQ("2 3 4 5 (120)", blob.shape_string());
  EXPECT_EQ(120, blob.count());
  EXPECT_EQ(60, blob.count(1));
  EXPECT_EQ(12, blob.count(1, 3));
  EXPECT_EQ(1, blob.count(2, 2));
  EXPECT_EQ(5, blob.shape(-1));
  EXPECT_EQ(2, blob.CanonicalAxisIndex(-2));
  EXPECT_EQ(1 * 60 + 2 * 20 + 3 * 5 + 4, blob.offset(1, 2, 3, 4));
  EXPECT_EQ(1 * 60 + 2 * 20, blob.offset(std::vector<int>{1, 2}));
  EXPECT_ERROR(blob.shape(4), "axis 4 is out of range for a blob of shape 2x3x4x5");
}

TYPED_TEST(BlobTest, AxesByName) {
  Blob<TypeParam> blob(std::vector<int>{7, 8});
  EXPECT_EQ(7, blob.num());
  EXPECT_EQ(8, blob.channels());
  EXPECT_EQ(1, blob.height());
  EXPECT_EQ(1, blob.LegacyShape(-3));
  blob.Reshape(std::vector<int>{1, 1, 1, 1, 2});
  EXPECT_ERROR(blob.num(), "at most 4 axes");
}

TYPED_TEST(BlobTest, ScalarAndEmpty) {
  Blob<TypeParam> blob;
  EXPECT_EQ(0, blob.count());
  EXPECT_EQ(0, blob.asum_data());
  blob.Reshape(std::vector<int>());
  EXPECT_EQ(1, blob.count());
  EXPECT_EQ(0, blob.num_axes());
  blob.Reshape(std::vector<int>{0, 5});
  EXPECT_EQ(0, blob.count());
  EXPECT_EQ(0, blob.asum_data());
}

TYPED_TEST(BlobTest, BadShapes) {
  Blob<TypeParam> blob;
  EXPECT_ERROR(blob.Reshape(std::vector<int>{2, -1}), "2x-1 has a negative extent");
  EXPECT_ERROR(blob.Reshape(std::vector<int>{65536, 65536}), "exceeds");
  EXPECT_ERROR(blob.Reshape(std::vector<int>(33, 1)), "at most 32 axes");
}

TYPED_TEST(BlobTest, MemoryGrowsOnly) {
  Blob<TypeParam> blob(1, 1, 2, 3);
  blob.mutable_cpu_data()[5] = 9;
  const TypeParam* before = blob.cpu_data();
  blob.Reshape(std::vector<int>{2});
  EXPECT_EQ(before, blob.cpu_data());
  blob.Reshape(std::vector<int>{6});
  EXPECT_EQ(before, blob.cpu_data());
  EXPECT_EQ(9, blob.cpu_data()[5]);
}

TYPED_TEST(BlobTest, FreshMemoryIsZeroAndAligned) {
  Blob<TypeParam> blob(3, 5, 7, 11);
  EXPECT_EQ(0, blob.asum_data());
  EXPECT_EQ(0, blob.asum_diff());
  EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(blob.cpu_data()) % 64);
}

TYPED_TEST(BlobTest, CopyOfAScalar) {
  Blob<TypeParam> scalar{std::vector<int>()}, copy;
  scalar.mutable_cpu_data()[0] = 3;
  scalar.mutable_cpu_diff()[0] = 4;
  copy.CopyFrom(scalar, false, true);
  copy.CopyFrom(scalar, true, true);
  EXPECT_EQ(3, copy.cpu_data()[0]);
  EXPECT_EQ(4, copy.cpu_diff()[0]);
}

TYPED_TEST(BlobTest, CopyFrom) {
  Blob<TypeParam> a(1, 2, 1, 1), b(1, 2, 1, 1), c(2, 1, 1, 1);
  FillValues<TypeParam>(&a, {1, 2});
  a.mutable_cpu_diff()[1] = 7;
  b.CopyFrom(a);
  EXPECT_EQ(2, b.cpu_data()[1]);
  EXPECT_EQ(0, b.cpu_diff()[1]);
  b.CopyFrom(a, true);
  EXPECT_EQ(7, b.cpu_diff()[1]);
  EXPECT_ERROR(c.CopyFrom(a), "shape 1x2x1x1 into one of 2x1x1x1");
  c.CopyFrom(a, false, true);
  EXPECT_EQ(a.shape(), c.shape());
  EXPECT_EQ(2, c.data_at(0, 1, 0, 0));
}

TYPED_TEST(BlobTest, UpdateSumsAndScales) {
  Blob<TypeParam> blob(std::vector<int>{3});
  FillValues<TypeParam>(&blob, {1, -2, 3});
  for (int i = 0; i < 3; ++i) blob.mutable_cpu_diff()[i] = TypeParam(i);
  EXPECT_EQ(6, blob.asum_data());
  EXPECT_EQ(14, blob.sumsq_data());
  EXPECT_EQ(3, blob.asum_diff());
  EXPECT_EQ(5, blob.sumsq_diff());
  blob.scale_diff(2);
  blob.Update();
  EXPECT_EQ(1, blob.cpu_data()[0]);
  EXPECT_EQ(-4, blob.cpu_data()[1]);
  EXPECT_EQ(-1, blob.cpu_data()[2]);
  blob.scale_data(-3);
  EXPECT_EQ(12, blob.cpu_data()[1]);
}

TYPED_TEST(BlobTest, ShareData) {
  Blob<TypeParam> a(1, 2, 1, 1), b(2, 1, 1, 1);
  b.ShareData(a);
  b.ShareDiff(a);
  a.mutable_cpu_data()[1] = 3;
  a.mutable_cpu_diff()[0] = 4;
  EXPECT_EQ(3, b.cpu_data()[1]);
  EXPECT_EQ(4, b.cpu_diff()[0]);
}

TYPED_TEST(BlobTest, ProtoRoundTrip) {
  Blob<TypeParam> a(std::vector<int>{2, 3}), b;
  FillGaussian(&a, 1);
  SetDiff(a, &a);
  BlobProto proto;
  a.ToProto(&proto, true);
  EXPECT_EQ(sizeof(TypeParam) == 4 ? 6 : 0, proto.data_size());
  EXPECT_EQ(sizeof(TypeParam) == 8 ? 6 : 0, proto.double_data_size());
  b.FromProto(proto);
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_TRUE(std::equal(a.cpu_data(), a.cpu_data() + 6, b.cpu_data()));
  EXPECT_TRUE(std::equal(a.cpu_diff(), a.cpu_diff() + 6, b.cpu_diff()));
  Blob<TypeParam> other(std::vector<int>{3, 2});
  EXPECT_ERROR(other.FromProto(proto, false), "stored shape 2x3 where 3x2 is expected");
  proto.mutable_shape()->set_dim(0, 4);
  EXPECT_ERROR(b.FromProto(proto), "6 data values where its shape asks for 12");
}

TYPED_TEST(BlobTest, OldFilesHaveFourAxes) {
  BlobProto proto;
  proto.set_num(1);
  proto.set_channels(1);
  proto.set_height(2);
  proto.set_width(3);
  for (int i = 0; i < 6; ++i) proto.add_data(i);
  EXPECT_TRUE(Blob<TypeParam>(std::vector<int>{2, 3}).ShapeEquals(proto));
  EXPECT_TRUE(Blob<TypeParam>(1, 1, 2, 3).ShapeEquals(proto));
  EXPECT_FALSE(Blob<TypeParam>(std::vector<int>{3, 2}).ShapeEquals(proto));
  EXPECT_FALSE(Blob<TypeParam>(std::vector<int>{6}).ShapeEquals(proto));
  Blob<TypeParam> blob(std::vector<int>{2, 3});
  blob.FromProto(proto, false);
  EXPECT_EQ(5, blob.cpu_data()[5]);
  EXPECT_EQ(2, blob.num_axes());
}

TYPED_TEST(BlobTest, MemoryOfTheCaller) {
  TypeParam memory[] = {1, 2, 3};
  Blob<TypeParam> blob(std::vector<int>{3});
  blob.set_cpu_data(memory);
  EXPECT_EQ(memory, blob.cpu_data());
  blob.mutable_cpu_data()[0] = 8;
  EXPECT_EQ(8, memory[0]);
}

TEST(BlobBlocks, TravelAndComeBack) {
  Blob<float> blob(2, 5, 3, 2);
  FillGaussian(&blob, 1);
  const std::vector<float> plain(blob.cpu_data(), blob.cpu_data() + blob.count());
  EXPECT_EQ(1, blob.data_block());
  const float* blocked = blob.cpu_data(8);
  EXPECT_EQ(8, blob.data_block());
  // n = 1, c = 3, s = 4.
  EXPECT_EQ(blob.data_at(1, 3, 2, 0), blocked[(1 * 6 + 4) * 8 + 3]);
  float* mutated = blob.mutable_cpu_data(8);
  mutated[(1 * 6 + 4) * 8 + 3] = 42;
  EXPECT_EQ(42, blob.data_at(1, 3, 2, 0));
  for (int i = 0; i < blob.count(); ++i) {
    if (i == blob.offset(1, 3, 2, 0)) continue;
    ASSERT_EQ(plain[i], blob.cpu_data()[i]);
  }
  blob.mutable_cpu_data();
  EXPECT_EQ(1, blob.data_block());
}

TEST(BlobBlocks, OverwritingMakesNoReorder) {
  Blob<float> blob(2, 5, 3, 2);
  FillGaussian(&blob, 1);
  const uint64_t before = ReorderCount();
  float* data = blob.overwrite_cpu_data(16);
  std::fill_n(data, blob.Blocks(16).count(), 0.f);
  EXPECT_EQ(before, ReorderCount());
  EXPECT_EQ(16, blob.data_block());
  EXPECT_EQ(0, blob.asum_data());
  EXPECT_EQ(before + 1, ReorderCount());
}

TEST(BlobBlocks, SharedMemorySharesTheLayout) {
  Blob<float> a(1, 5, 2, 2), b(1, 5, 2, 2);
  FillGaussian(&a, 1);
  b.ShareData(a);
  a.cpu_data(16);
  EXPECT_EQ(16, b.data_block());
  EXPECT_EQ(0, RelativeError(b.cpu_data(), a.cpu_data(), a.count()));
}

}  // namespace
}  // namespace caffe

#include "caffe/util/channel_loops.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <vector>

#include "testing/blob_util.hpp"

namespace caffe {
namespace testing {
namespace {

template <typename Dtype>
std::vector<Dtype> Normal(size_t count, uint64_t seed) {
  Blob<Dtype> blob(std::vector<int>{static_cast<int>(count)});
  FillGaussian<Dtype>(&blob, seed, 1, 2);
  return std::vector<Dtype>(blob.cpu_data(), blob.cpu_data() + count);
}

// The layouts that the tests run through: whole and cut blocks, whole and cut vectors of pixels.
template <typename Dtype, class Body>
void ForEachLayout(const Body& body) {
  for (int block : {1, 8, 16}) {
    if (sizeof(Dtype) == 8 && block > 1) continue;
    for (int channels : {1, 8, 19}) {
      for (int spatial : {1, 7, 16, 33, 64}) {
        SCOPED_TRACE("block " + std::to_string(block) + ", " + std::to_string(channels) + " x " +
                     std::to_string(spatial));
        ChannelBlocks layout;
        layout.block = block;
        layout.num = 3;
        layout.channels = channels;
        layout.spatial = spatial;
        body(layout);
      }
    }
  }
}

size_t LaneOf(const ChannelBlocks& layout, size_t i) {
  const size_t area = size_t(layout.spatial) * layout.block;
  return i / area % layout.groups() * layout.block + i % layout.block;
}

template <typename Dtype>
class ChannelLoopsTest : public ::testing::Test {};
typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(ChannelLoopsTest, Dtypes);

TYPED_TEST(ChannelLoopsTest, Affine) {
  typedef TypeParam Dtype;
  ForEachLayout<Dtype>([](const ChannelBlocks& layout) {
    const size_t lanes = layout.groups() * layout.block;
    const std::vector<Dtype> u = Normal<Dtype>(layout.count(), 1),
                             v = Normal<Dtype>(layout.count(), 2);
    const std::vector<Dtype> a = Normal<Dtype>(lanes, 3), b = Normal<Dtype>(lanes, 4),
                             d = Normal<Dtype>(lanes, 5);
    std::vector<Dtype> y(layout.count()), in_place = u;
    ChannelAffine(layout, u.data(), a.data(), d.data(), y.data());
    ChannelAffine<Dtype>(layout, in_place.data(), a.data(), d.data(), in_place.data());
    EXPECT_EQ(y, in_place);
    for (size_t i = 0; i < y.size(); ++i) {
      const size_t c = LaneOf(layout, i);
      ASSERT_NEAR(double(a[c]) * u[i] + d[c], y[i], 1e-5);
    }
    ChannelAffine2(layout, u.data(), v.data(), a.data(), b.data(), d.data(), y.data());
    for (size_t i = 0; i < y.size(); ++i) {
      const size_t c = LaneOf(layout, i);
      ASSERT_NEAR(double(a[c]) * u[i] + double(b[c]) * v[i] + d[c], y[i], 1e-5);
    }
  });
}

TYPED_TEST(ChannelLoopsTest, Sums) {
  typedef TypeParam Dtype;
  ForEachLayout<Dtype>([](const ChannelBlocks& layout) {
    const size_t lanes = layout.groups() * layout.block;
    const std::vector<Dtype> u = Normal<Dtype>(layout.count(), 1),
                             v = Normal<Dtype>(layout.count(), 2);
    const std::vector<Dtype> shift = Normal<Dtype>(lanes, 3);
    for (bool given : {true, false}) {
      std::vector<double> sum(lanes), dot(lanes), expected_sum(lanes), expected_dot(lanes);
      ChannelSums(layout, given ? u.data() : nullptr, v.data(), shift.data(), sum.data(),
                  dot.data());
      for (size_t i = 0; i < v.size(); ++i) {
        const size_t c = LaneOf(layout, i);
        const double d = double(v[i]) - shift[c], f = given ? double(u[i]) : d;
        expected_sum[c] += f;
        expected_dot[c] += f * d;
      }
      EXPECT_LE(RelativeError(sum.data(), expected_sum.data(), lanes), 1e-5);
      EXPECT_LE(RelativeError(dot.data(), expected_dot.data(), lanes), 1e-5);
    }
  });
}

TYPED_TEST(ChannelLoopsTest, ElementByElement) {
  typedef TypeParam Dtype;
  const size_t count = 50001;  // several threads' pieces, the last one cut
  const std::vector<Dtype> x = Normal<Dtype>(count, 1), dy = Normal<Dtype>(count, 2);
  std::vector<Dtype> relu(count), gradient(count), sum(count), copy(count);
  ReluForward<Dtype>(count, 0.25, x.data(), relu.data());
  ReluBackward<Dtype>(count, 0.25, x.data(), dy.data(), gradient.data());
  WeightedSum<Dtype>(count, 2, x.data(), -3, dy.data(), sum.data());
  CopyRange(count, x.data(), copy.data());
  EXPECT_EQ(x, copy);
  for (size_t i = 0; i < count; ++i) {
    ASSERT_EQ(x[i] > 0 ? x[i] : Dtype(0.25) * x[i], relu[i]);
    ASSERT_EQ(x[i] > 0 ? dy[i] : Dtype(0.25) * dy[i], gradient[i]);
    ASSERT_NEAR(2 * double(x[i]) - 3 * double(dy[i]), sum[i], 1e-5);
  }
}

TEST(ChannelLoops, ThreadsDoNotChangeABit) {
  ChannelBlocks layout;
  layout.block = 8;
  layout.num = 7;
  layout.channels = 19;
  layout.spatial = 37;
  const std::vector<float> u = Normal<float>(layout.count(), 1), shift(24, 0.5f);
  std::vector<double> sums[2], dots[2];
  const int threads = omp_get_max_threads();
  for (int i = 0; i < 2; ++i) {
    sums[i].resize(24);
    dots[i].resize(24);
    omp_set_num_threads(i == 0 ? 1 : 3);
    ChannelSums(layout, u.data(), u.data(), shift.data(), sums[i].data(), dots[i].data());
  }
  omp_set_num_threads(threads);
  EXPECT_EQ(sums[0], sums[1]);
  EXPECT_EQ(dots[0], dots[1]);
}

}  // namespace
}  // namespace testing
}  // namespace caffe

// Sums over channels and functions of their elements, four at once and one by one, against plain
// loops.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "caffe/util/channel_kernels.hpp"

namespace caffe {
namespace {

using std::vector;

template <typename Dtype>
struct ProductTerms {
  const Dtype *u, *v;
  int* kept;
  struct Channel {
    const Dtype *u, *v;
    template <int kWidth>
    CAFFE_HOST_DEVICE void Add(int at, Dtype* pair) const {
      const auto us = LoadNeighbours<kWidth>(u + at), vs = LoadNeighbours<kWidth>(v + at);
      for (int k = 0; k < kWidth; ++k) {
        pair[0] += us.at[k];
        pair[1] += us.at[k] * vs.at[k];
      }
    }
  };
  CAFFE_HOST_DEVICE Channel Of(int) const { return {u, v}; }
  CAFFE_HOST_DEVICE void Keep(int c) const { kept[c] += 1; }
};

template <typename Dtype>
struct PlainTerms {
  const Dtype *u, *v;
  CAFFE_HOST_DEVICE void operator()(int, int i, Dtype* pair) const {
    pair[0] += u[i];
    pair[1] += u[i] * v[i];
  }
};

struct StoreSums {
  double* sums;
  CAFFE_HOST_DEVICE void operator()(int c, double first, double second) const {
    sums[2 * c] += first;
    sums[2 * c + 1] += second;
  }
};

// y = first u + second v + c, or the same with u for v.
template <typename Dtype, bool kTwo>
struct Combine : StoreSums {
  static const bool kReadsV = kTwo;
  struct Channel {
    double first, second;
    int c;
    CAFFE_HOST_DEVICE Dtype operator()(Dtype u, Dtype v) const {
      return static_cast<Dtype>(first * u + second * v + c);
    }
  };
  CAFFE_HOST_DEVICE Channel Of(int c, double first, double second) const {
    return {first, second, c};
  }
};

struct Twice {
  CAFFE_HOST_DEVICE float operator()(float u) const { return 2 * u; }
};
struct Difference {
  CAFFE_HOST_DEVICE float operator()(float u, float v) const { return 2 * u - v; }
};

class ChannelKernelsGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why_not;
    if (!Device::IsThere(&why_not)) GTEST_SKIP() << why_not;
  }

  /// `values` in the device's memory, from `offset` values behind its begin on.
  template <typename T>
  T* OnDevice(const vector<T>& values, int offset = 0) {
    T* memory = workspace_.Get<T>(values.size() + offset) + offset;
    Device::Get().CopyToDevice(memory, values.data(), values.size() * sizeof(T));
    return memory;
  }
  template <typename T>
  static vector<T> OnHost(const T* memory, size_t count) {
    vector<T> values(count);
    Device::Get().CopyToHost(values.data(), memory, count * sizeof(T));
    return values;
  }

  template <typename Dtype>
  void Check(const ChannelBlocks& layout, int offset) {
    const int channels = layout.channels, count = static_cast<int>(layout.count());
    vector<Dtype> u(count), v(count);
    vector<double> expected(2 * channels, 0.0);
    for (int i = 0; i < count; ++i) {
      u[i] = Dtype(std::sin(7.0 * i + 1));
      v[i] = Dtype(std::cos(3.0 * i) + 0.5);
      const int c = i / layout.spatial % channels;
      expected[2 * c] += u[i];
      expected[2 * c + 1] += double(u[i]) * v[i];
    }
    const Dtype *du = OnDevice(u, offset), *dv = OnDevice(v, offset);
    const double tolerance = sizeof(Dtype) == 4 ? 1e-4 : 1e-11;
    const auto expect_sums = [&](const double* on_device, const char* what) {
      const vector<double> sums = OnHost(on_device, 2 * channels);
      for (int j = 0; j < 2 * channels; ++j) {
        ASSERT_NEAR(expected[j], sums[j], tolerance * (1 + std::fabs(expected[j]))) << what << j;
      }
    };

    const vector<double> zeros(2 * channels, 0.0);
    double* plain = OnDevice(zeros);
    SumChannels<Dtype>(layout, PlainTerms<Dtype>{du, dv}, StoreSums{plain});
    expect_sums(plain, "SumChannels ");

    const bool four = FourAtOnce(layout.spatial, {du, dv});
    EXPECT_EQ(four, layout.spatial % 4 == 0 && offset * sizeof(Dtype) % 16 == 0);
    int* kept = OnDevice(vector<int>(channels, 0));
    const ChannelPartSums sums =
        SumChannelParts<Dtype>(layout, four, ProductTerms<Dtype>{du, dv, kept}, &workspace_);
    EXPECT_EQ(vector<int>(channels, 1), OnHost(kept, channels));
    double* finished = OnDevice(zeros);
    FinishChannels(channels, sums, StoreSums{finished});
    expect_sums(finished, "FinishChannels ");

    // Into arrays of their own, and over u.
    const vector<Dtype> nothing(count, Dtype(-1));
    Dtype *copy = OnDevice(nothing, offset), *y = OnDevice(nothing, offset);
    double* mapped = OnDevice(zeros);
    MapChannels(layout, four, sums, Combine<Dtype, false>{{mapped}},
                ChannelMap<Dtype>{du, nullptr, copy, y});
    expect_sums(mapped, "MapChannels ");
    EXPECT_EQ(u, OnHost(copy, count));
    const vector<Dtype> of_one = OnHost(y, count);
    Dtype* over = OnDevice(u, offset);
    MapChannels(layout, four, sums, Combine<Dtype, true>{{mapped}},
                ChannelMap<Dtype>{over, dv, nullptr, over});
    const vector<Dtype> of_two = OnHost(over, count);
    for (int i = 0; i < count; ++i) {
      const int c = i / layout.spatial % channels;
      const double first = expected[2 * c], second = expected[2 * c + 1];
      const double bound = tolerance * (1 + std::fabs(first) + std::fabs(second) + c);
      ASSERT_NEAR(first * u[i] + second * u[i] + c, of_one[i], bound) << i;
      ASSERT_NEAR(first * u[i] + second * v[i] + c, of_two[i], 2 * bound) << i;
    }
  }

  DeviceWorkspace workspace_;
};

TEST_F(ChannelKernelsGpu, SumsAndMaps) {
  // One part of a channel and many, some not full; rows of one, of a few and of many fours.
  for (const vector<int>& shape : vector<vector<int>>{{2, 3, 1},
                                                      {1, 1, 1},
                                                      {300, 2, 1},
                                                      {3, 700, 4},
                                                      {5, 2, 12},
                                                      {40, 3, 400},
                                                      {40, 3, 225},
                                                      {3, 5, 1028},
                                                      {1, 1, 20000},
                                                      {2, 520, 30}}) {
    ChannelBlocks layout;
    layout.num = shape[0];
    layout.channels = shape[1];
    layout.spatial = shape[2];
    SCOPED_TRACE(::testing::PrintToString(shape));
    for (int offset : {0, 1, 4}) {
      Check<float>(layout, offset);
      Check<double>(layout, offset);
    }
  }
}

// As sums of no values, which are added to what is there.
TEST_F(ChannelKernelsGpu, NoImages) {
  ChannelBlocks layout;
  layout.channels = 3;
  layout.spatial = 4;
  const vector<double> before = {1, 2, 3, 4, 5, 6};
  double* sums = OnDevice(before);
  SumChannels<float>(layout, PlainTerms<float>{nullptr, nullptr}, StoreSums{sums});
  EXPECT_EQ(before, OnHost(sums, 6));
}

TEST_F(ChannelKernelsGpu, MapElements) {
  for (int count : {1, 4, 7, 2052}) {
    for (int offset : {0, 1}) {
      vector<float> u(count), v(count), expected(count);
      for (int i = 0; i < count; ++i) {
        u[i] = static_cast<float>(i);
        v[i] = static_cast<float>(i % 5);
        expected[i] = 2 * u[i] - v[i];
      }
      float *du = OnDevice(u), *dv = OnDevice(v, offset);
      float* y = OnDevice(vector<float>(count, -1.f));
      vector<float> twice(u);
      for (float& value : twice) value *= 2;
      float* odd = OnDevice(u, offset);
      MapElements(count, Twice{}, odd, y);
      EXPECT_EQ(twice, OnHost(y, count)) << count << " " << offset;
      MapElements(count, Twice{}, odd, odd);
      EXPECT_EQ(twice, OnHost(odd, count)) << count << " " << offset;
      MapElements(count, Difference{}, du, dv, y);
      EXPECT_EQ(expected, OnHost(y, count)) << count << " " << offset;
      MapElements(count, Difference{}, du, dv, du);
      EXPECT_EQ(expected, OnHost(du, count)) << count << " " << offset;
    }
  }
}

}  // namespace
}  // namespace caffe

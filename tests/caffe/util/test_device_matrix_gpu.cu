// What kernels are made of beside sums: products of matrices by warps, blocks of one warp each,
// lanes that give to each other, and copies with several values on their way.
#include <gtest/gtest.h>

#include "caffe/util/device_lanes.hpp"
#include "caffe/util/device_launch.hpp"
#include "caffe/util/device_matrix.hpp"
#include "caffe/util/device_workspace.hpp"

namespace caffe {
namespace {

using std::vector;

class DeviceMatrixGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why_not;
    if (!Device::IsThere(&why_not)) GTEST_SKIP() << why_not;
  }
};

template <typename T>
class OnDevice {
 public:
  explicit OnDevice(const vector<T>& values) : count_(values.size()) {
    data_ = workspace_.Get<T>(count_);
    Device::Get().CopyToDevice(data_, values.data(), count_ * sizeof(T));
  }
  T* data() { return data_; }
  vector<T> Values() {
    vector<T> values(count_);
    Device::Get().CopyToHost(values.data(), data_, count_ * sizeof(T));
    return values;
  }

 private:
  DeviceWorkspace workspace_;
  size_t count_;
  T* data_;
};

const int kTestTiles = 3, kTestWarps = 2, kTestDepth = 16;

// Whole numbers, which TF32 holds exactly: c[block][warp][t] = A B, twice.
struct ProductsOfWarps {
  const float *a, *b;  // per warp 16 x 16, and per warp and tile 16 x 8
  float* c;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    WarpTiles<kTestTiles> tiles(block);
    for (int pass = 0; pass < 2; ++pass) {
      for (int k0 = 0; k0 < kTestDepth; k0 += 8) {
        tiles.AddProducts(
            [&](int warp, int m, int k) { return a[(warp * 16 + m) * kTestDepth + k0 + k]; },
            [&](int warp, int t, int k, int n) {
              return b[((warp * kTestTiles + t) * kTestDepth + k0 + k) * 8 + n];
            });
      }
    }
    CAFFE_UNROLL
    for (int t = 0; t < kTestTiles; ++t) {
      tiles.ForEach(t, [&](int warp, int m, int n, float sum) {
        c[(((block.index() * kTestWarps + warp) * kTestTiles + t) * 16 + m) * 8 + n] = sum;
      });
    }
  }
};

TEST_F(DeviceMatrixGpu, ProductsOfWarpsAreExactInWholeNumbers) {
  const int blocks = 2, size = kTestTiles * 16 * 8;
  vector<float> a(kTestWarps * 16 * kTestDepth), b(kTestWarps * kTestTiles * kTestDepth * 8);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i * 37 % 19) - 9;
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i * 53 % 23) - 11;
  vector<float> expected(blocks * kTestWarps * size);
  for (int i = 0; i < static_cast<int>(expected.size()); ++i) {
    const int n = i % 8, m = i / 8 % 16, t = i / 128 % kTestTiles, w = i / size % kTestWarps;
    for (int k = 0; k < kTestDepth; ++k) {
      expected[i] +=
          2 * a[(w * 16 + m) * kTestDepth + k] * b[((w * kTestTiles + t) * kTestDepth + k) * 8 + n];
    }
  }
  OnDevice<float> on_a(a), on_b(b), c(vector<float>(expected.size(), -1));
  ForEachBlock(blocks, kTestWarps * Block::kWarp, 0,
               ProductsOfWarps{on_a.data(), on_b.data(), c.data()});
  EXPECT_EQ(expected, c.Values());
}

// Block i: the sum of i + 0, ..., i + size - 1, by Sum, and by Sums of what is in shared memory.
struct SumsOfWarps {
  static const int kBlocksOfWarps = 2;
  int size;
  double* out;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    double* values = block.Shared<double>(size);
    double* scratch = block.Shared<double>(Block::SumsCount(2, block.threads()));
    const int first = block.index();
    block.Run(size, [&](int i) { values[i] = first + (i + 1) % size; });
    const double sum = block.Sum<double>(size, [&](int i) { return values[size - 1 - i]; });
    block.Run(1, [&](int) { out[first * 3] = sum; });
    block.Sums<2>(
        size, scratch,
        [&](int i, double* own) {
          own[0] += values[i];
          own[1] += 1;
        },
        [&](int k, double total) { out[first * 3 + 1 + k] = total; });
  }
};

TEST_F(DeviceMatrixGpu, WarpsAreBlocksOfTheirOwn) {
  for (const int count : {1, 8, 21}) {
    for (const int size : {3, 32, 77, 700}) {  // of 700, a block has memory for few warps
      OnDevice<double> out(vector<double>(count * 3 + 3, -1));
      ForEachWarp(count, (size + 3) * sizeof(double) + 16, SumsOfWarps{size, out.data()});
      const vector<double> values = out.Values();
      for (int i = 0; i < count; ++i) {
        const double sum = double(i) * size + size * (size - 1) / 2;
        EXPECT_EQ(sum, values[i * 3]) << i << " of " << count;
        EXPECT_EQ(sum, values[i * 3 + 1]) << i << " of " << count;
        EXPECT_EQ(size, values[i * 3 + 2]);
      }
      EXPECT_EQ(-1, values[count * 3]);
    }
  }
}

// Warp w, lane l: 100 w + l from the lane at `distance`.
struct MoveLanes {
  static const int kBlocksOfWarps = 2;
  int distance;
  int* out;
  CAFFE_HOST_DEVICE void operator()(Block& warp) const {
    Lanes<int> values;
    ForEachLane([&](int lane) { values[lane] = 100 * warp.index() + lane; });
    const Lanes<int> moved = FromLane(values, distance);
    ForEachLane([&](int lane) { out[warp.index() * Block::kWarp + lane] = moved[lane]; });
  }
};

TEST_F(DeviceMatrixGpu, LanesGetFromOthers) {
  const int warps = 11;
  for (const int distance : {-31, -7, -1, 0, 1, 16, 31}) {
    vector<int> expected;
    for (int i = 0; i < warps * Block::kWarp; ++i) {
      const int lane = i % Block::kWarp, from = lane + distance;
      const bool is_there = from >= 0 && from < Block::kWarp;
      expected.push_back(100 * (i / Block::kWarp) + (is_there ? from : lane));
    }
    OnDevice<int> out(vector<int>(expected.size(), -1));
    ForEachWarp(warps, 0, MoveLanes{distance, out.data()});
    EXPECT_EQ(expected, out.Values()) << distance;
  }
}

struct CopyTurned {
  int count;
  const int* from;
  int* to;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    block.Copy<3>(
        count, [&](int i) { return from[count - 1 - i]; },
        [&](int i, int value) { to[i] = value; });
    block.Wait();
  }
};

TEST_F(DeviceMatrixGpu, CopiesOnceEach) {
  for (const int count : {0, 1, 63, 64, 65, 191, 192, 500}) {
    vector<int> from(count + 1), expected(count + 1, -1);
    for (int i = 0; i < count; ++i) from[i] = expected[count - 1 - i] = i;
    OnDevice<int> source(from), target(vector<int>(count + 1, -1));
    ForEachBlock(1, 64, 0, CopyTurned{count, source.data(), target.data()});
    EXPECT_EQ(expected, target.Values());
  }
}

}  // namespace
}  // namespace caffe

// Sums within a thread block, as the emulated device forms them: with the steps, and in the order,
// of a GPU's warps.
#include "caffe/util/device_launch.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "testing/blob_util.hpp"

namespace caffe {
namespace {

using std::vector;

template <typename T, int N>
void ExpectSumsEqualSum() {
  for (const int threads : {32, 64, 96, 256}) {
    for (const int count : {0, 1, 17, 32, 33, 200, 257, 1000}) {
      const size_t bytes = Block::kSumBytes + (N + 1) * threads * sizeof(T) + 64;
      vector<double> memory(bytes / sizeof(double) + 1, std::nan(""));
      const auto term = [](int i, int j) { return T(std::sin(7.0 * i + j)); };
      Block block(0, threads, reinterpret_cast<char*>(memory.data()));
      T* scratch = block.Shared<T>(Block::SumsCount(N, threads));
      vector<T> sums(N, T(-1));
      vector<int> taken(N);
      block.Sums<N>(
          count, scratch,
          [&](int i, T* own) {
            for (int j = 0; j < N; ++j) own[j] += term(i, j);
          },
          [&](int j, T sum) {
            sums[j] = sum;
            ++taken[j];
          });
      EXPECT_EQ(vector<int>(N, 1), taken);
      for (int j = 0; j < N; ++j) {
        EXPECT_EQ(block.Sum<T>(count, [&](int i) { return term(i, j); }), sums[j])
            << "sum " << j << " of " << N << ", " << count << " terms, " << threads << " threads";
      }
    }
  }
}

TEST(Block, SeveralSumsAtOnceAreTheSameSums) {
  ExpectSumsEqualSum<float, 1>();
  ExpectSumsEqualSum<double, 2>();
  ExpectSumsEqualSum<float, 3>();
  ExpectSumsEqualSum<float, 4>();
  ExpectSumsEqualSum<double, 5>();
  ExpectSumsEqualSum<float, 9>();
  ExpectSumsEqualSum<double, 18>();
  ExpectSumsEqualSum<float, 31>();
  ExpectSumsEqualSum<float, 32>();
  ExpectSumsEqualSum<float, 33>();
  ExpectSumsEqualSum<double, 71>();
}

TEST(Block, ReadingWhatAnotherThreadOfTheStepWritesShows) {
  const int count = 8;
  double memory[64];
  vector<vector<int>> results;
  for (const int index : {0, 1}) {
    vector<int> values(count, 1);
    Block block(index, 32, reinterpret_cast<char*>(memory));
    block.Run(count - 1, [&](int i) { values[i] += values[i + 1]; });  // no barrier in between
    results.push_back(values);
  }
  EXPECT_NE(results[0], results[1]);
}

TEST(Block, MoreSharedMemoryThanAskedForIsAnError) {
  double memory[256];
  Block block(0, 64, reinterpret_cast<char*>(memory));
  block.Bound(3 * 32);
  block.Shared<float>(5);  // 20 bytes, given out as 32
  // A warp has its own part of what is left, and no more.
  block.ForEachWarp(32, [](Block& warp) {
    warp.Shared<double>(3);
    EXPECT_ERROR(warp.Shared<char>(1), "16 bytes of shared memory more");
  });
  block.Shared<double>(8);
  EXPECT_ERROR(block.Shared<int>(8), "uses 32 bytes of shared memory more than it asked for");
}

}  // namespace
}  // namespace caffe

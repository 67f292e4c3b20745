// Sums within a thread block as a kernel forms them: on a GPU with its warps, and to the last bit
// what the host's Block gives (test_device_launch.cpp), which is what the emulated device runs.
#include <gtest/gtest.h>

#include <cmath>

#include "caffe/util/device_launch.hpp"
#include "caffe/util/device_workspace.hpp"

namespace caffe {
namespace {

using std::vector;

/// out[block][0 .. N - 1] is what Sums gives, the N behind them what Sum gives, each of terms that
/// begin with the block's number.
template <typename T, int N>
struct SumsAndSum {
  int count;
  const T* terms;  // those of i: N from i * N on
  T* out;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const T* own = terms + block.index() * N;
    T* results = out + block.index() * 2 * N;
    T* scratch = block.Shared<T>(Block::SumsCount(N, block.threads()));
    block.Sums<N>(
        count, scratch,
        [&](int i, T* sums) {
          for (int j = 0; j < N; ++j) sums[j] += own[i * N + j];
        },
        [&](int j, T sum) { results[j] = sum; });
    for (int j = 0; j < N; ++j) {
      const T sum = block.Sum<T>(count, [&](int i) { return own[i * N + j]; });
      block.Run(1, [&](int) { results[N + j] = sum; });
    }
  }
};

class BlockSumsGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why_not;
    if (!Device::IsThere(&why_not)) GTEST_SKIP() << why_not;
  }

  template <typename T, int N>
  void Check() const {
    const int blocks = 3;
    for (const int threads : {32, 64, 96, 256, 1024}) {
      if (threads == 1024 && N > 2) continue;  // a GPU has no registers for so many sums
      for (const int count : {0, 1, 33, 257, 3000}) {
        vector<T> terms((count + blocks) * N), results(blocks * 2 * N, T(-1)), expected(results);
        for (size_t i = 0; i < terms.size(); ++i) terms[i] = T(std::sin(7.0 * i));
        const size_t shared = (Block::SumsCount(N, threads) + 4) * sizeof(T);
        DeviceWorkspace workspace;
        T* on_device = workspace.Get<T>(terms.size());
        T* out = workspace.Get<T>(results.size());
        Device::Get().CopyToDevice(on_device, terms.data(), terms.size() * sizeof(T));
        ForEachBlock(blocks, threads, shared, SumsAndSum<T, N>{count, on_device, out});
        Device::Get().CopyToHost(results.data(), out, results.size() * sizeof(T));
        vector<double> memory((Block::kSumBytes + shared) / sizeof(double) + 2);
        for (int i = 0; i < blocks; ++i) {
          Block block(i, threads, reinterpret_cast<char*>(memory.data()));
          SumsAndSum<T, N>{count, terms.data(), expected.data()}(block);
        }
        EXPECT_EQ(expected, results) << N << " sums of " << count << " by " << threads;
      }
    }
  }
};

TEST_F(BlockSumsGpu, AreThoseOfTheHost) {
  Check<float, 1>();
  Check<double, 2>();
  Check<float, 9>();
  Check<double, 33>();
  Check<float, 71>();
}

}  // namespace
}  // namespace caffe

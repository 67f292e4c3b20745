#ifndef CAFFE_UTIL_DEVICE_BLOCK_HPP_
#define CAFFE_UTIL_DEVICE_BLOCK_HPP_

// The threads of a kernel that work together, and the sums over them. Their order is one and the
// same on the GPU and on the emulated device.

#include <cstddef>

#include "util/error.hpp"
#include "util/philox.hpp"

/// Before a loop over registers: it is unrolled on a GPU.
#ifdef __CUDA_ARCH__
#define CAFFE_UNROLL _Pragma("unroll")
#else
#define CAFFE_UNROLL
#endif

namespace caffe {

/// One thread block of a kernel. Code between the calls of its functions is run by all threads (on
/// the emulated device once for all), so it must be the same for all of them; what differs by
/// thread stands in the functions' arguments. The emulated device runs every other block's threads
/// from the last to the first, and in the kernel's next launch those of the others: where one reads
/// what another writes in the same step, without a barrier between them, one of the two results is
/// wrong.
class Block {
 public:
  /// `memory` holds kSumBytes and what Shared gives out.
  CAFFE_HOST_DEVICE Block(int index, int threads, char* memory)
      : index_(index),
        threads_(threads),
        backwards_(index % 2 == 0),
        is_warp_(false),
        sums_(memory),
        shared_(memory + kSumBytes) {}
  CAFFE_HOST_DEVICE int index() const { return index_; }
  CAFFE_HOST_DEVICE int threads() const { return threads_; }
  /// The same block, counted from block `first` on.
  CAFFE_HOST_DEVICE Block From(int first) const {
    Block block = *this;
    block.index_ -= first;
    return block;
  }

  /// step(own) for each of the block's warps, `own` being a block of that warp's threads alone with
  /// `bytes` of this one's shared memory, a multiple of 16; their indices go through the warps of
  /// all blocks. What a warp waits for is itself.
  template <class Step>
  CAFFE_HOST_DEVICE void ForEachWarp(size_t bytes, const Step& step) const {
#ifdef __CUDA_ARCH__
    Block own = OfWarp(threadIdx.x / kWarp, bytes);
    step(own);
#else
    const int warps = threads_ / kWarp;
    for (int i = 0; i < warps; ++i) {
      Block own = OfWarp(Turn(i, warps), bytes);
      step(own);
    }
#endif
  }

  /// The emulated device: the threads' order is the other one.
  void TurnAround() {
    backwards_ = !backwards_;
  }
  /// The emulated device: Shared has `bytes` to give out, and more is an error.
  void Bound(size_t bytes) {
    end_ = shared_ + bytes;
  }

  /// `count` values that the block's threads share, not cleared. ForEachBlock is told how many
  /// bytes there are in all.
  template <typename T>
  CAFFE_HOST_DEVICE T* Shared(int count) {
    T* memory = reinterpret_cast<T*>(shared_);
    shared_ += (count * sizeof(T) + 15) / 16 * 16;
#ifndef __CUDA_ARCH__
    ENFORCE(!end_ || shared_ <= end_)
        << "a kernel uses " << shared_ - end_ << " bytes of shared memory more than it asked for";
#endif
    return memory;
  }

  /// step(i) for i = 0 .. count - 1, divided among the threads; all is done when Run returns.
  template <class Step>
  CAFFE_HOST_DEVICE void Run(int count, const Step& step) const {
    Begin(count, step);
    Wait();
  }

  /// The same, but it may return before: all is done when the next Run, or Wait, returns.
  template <class Step>
  CAFFE_HOST_DEVICE void Begin(int count, const Step& step) const {
#ifdef __CUDA_ARCH__
    for (int i = Thread(); i < count; i += threads_) step(i);
#else
    for (int i = 0; i < count; ++i) step(Turn(i, count));
#endif
  }
  /// store(i, load(i)) likewise, where a thread loads `at_once` values before it stores the first:
  /// that many accesses to memory are on their way at the same time.
  template <int at_once, class Load, class Store>
  CAFFE_HOST_DEVICE void Copy(int count, const Load& load, const Store& store) const {
#ifdef __CUDA_ARCH__
    for (int i = Thread(); i < count; i += at_once * threads_) {
      decltype(load(i)) values[at_once];
      CAFFE_UNROLL
      for (int j = 0; j < at_once; ++j) {
        if (i + j * threads_ < count) values[j] = load(i + j * threads_);
      }
      CAFFE_UNROLL
      for (int j = 0; j < at_once; ++j) {
        if (i + j * threads_ < count) store(i + j * threads_, values[j]);
      }
    }
#else
    Begin(count, [&](int i) { store(i, load(i)); });
#endif
  }
  CAFFE_HOST_DEVICE void Wait() const {
#ifdef __CUDA_ARCH__
    if (is_warp_) {
      __syncwarp();
    } else {
      __syncthreads();
    }
#endif
  }

  /// The sum of term(i), i = 0 .. count - 1, for all threads. The order of the additions depends on
  /// the number of threads alone; it is the same on the GPU and on the emulated device.
  template <typename T, class Term>
  CAFFE_HOST_DEVICE T Sum(int count, const Term& term) const;

  /// N sums: add(i, own) for i = 0 .. count - 1 adds the terms of i to own[0 .. N - 1]; then
  /// take(j, sum) gets each sum, in one thread. `scratch` is SumsCount(N, threads()) values of
  /// Shared. The order of the additions is that of Sum.
  template <int N, typename T, class Add, class Take>
  CAFFE_HOST_DEVICE void Sums(int count, T* scratch, const Add& add, const Take& take) const;
  static CAFFE_HOST_DEVICE int SumsCount(int sums, int threads) {
    return sums * threads / kWarp;
  }

  static const int kWarp = 32, kMostThreads = 1024;
  /// Bytes of shared memory that Sum needs.
  static const size_t kSumBytes = kMostThreads / kWarp * sizeof(double);

 private:
#ifdef __CUDACC__
  __device__ int Thread() const {
    return is_warp_ ? threadIdx.x % kWarp : threadIdx.x;
  }
#endif
  CAFFE_HOST_DEVICE Block OfWarp(int warp, size_t bytes) const {
    Block own = *this;
    own.index_ = index_ * (threads_ / kWarp) + warp;
    own.threads_ = kWarp;
    own.is_warp_ = true;
    own.sums_ += warp * sizeof(double);
    own.shared_ += warp * bytes;
    own.end_ = own.shared_ + bytes;
    return own;
  }
  /// The i-th of `count` to have its turn on the emulated device.
  int Turn(int i, int count) const {
    return backwards_ ? count - 1 - i : i;
  }

  int index_, threads_;
  bool backwards_, is_warp_;
  char* sums_;
  char* shared_;
  char* end_ = nullptr;  // of what Shared may give out, where that is known
};

// Thread t adds its terms t, t + threads, ...; each warp adds pairs at distances 16, 8, ..., 1;
// then the warps' sums are added in order.
template <typename T, class Term>
CAFFE_HOST_DEVICE T Block::Sum(int count, const Term& term) const {
  T* sums = reinterpret_cast<T*>(sums_);
  const int warps = threads_ / kWarp;
#ifdef __CUDA_ARCH__
  T own = 0;
  for (int i = Thread(); i < count; i += threads_) own += term(i);
  for (int half = kWarp / 2; half > 0; half /= 2) own += __shfl_down_sync(0xFFFFFFFFu, own, half);
  if (Thread() % kWarp == 0) sums[Thread() / kWarp] = own;
  Wait();
#else
  for (int nth = 0; nth < warps; ++nth) {
    const int w = Turn(nth, warps);
    T own[kWarp] = {};
    for (int turn = 0; turn < kWarp; ++turn) {
      const int lane = Turn(turn, kWarp);
      for (int i = w * kWarp + lane; i < count; i += threads_) own[lane] += term(i);
    }
    for (int half = kWarp / 2; half > 0; half /= 2) {
      for (int lane = 0; lane < half; ++lane) own[lane] += own[lane + half];
    }
    sums[w] = own[0];
  }
#endif
  T total = 0;
  for (int w = 0; w < warps; ++w) total += sums[w];
  Wait();  // the next Sum writes there
  return total;
}

namespace internal {

// Adds n values over the lanes of a warp, at distances `half`, half / 2, ..., 1. At each step a
// lane keeps half of its values and gives the others away, so that it is n + n/2 + ... additions,
// not 5 n. Each lane ends with up to kLeft sums: those of values first .. first + count - 1.
template <int n, int half>
struct FoldWarp {
  static const int kKept = (n + 1) / 2;
  typedef FoldWarp<kKept, half / 2> Next;
  static const int kLeft = Next::kLeft;

  template <typename T>
  static CAFFE_HOST_DEVICE void Divide(bool is_upper, const T* own, int j, T* given, T* kept) {
    if (n == 1) {
      *given = *kept = own[0];
      return;
    }
    const T second = j + kKept < n ? own[j + kKept < n ? j + kKept : 0] : T(0);
    *given = is_upper ? own[j] : second;
    *kept = is_upper ? second : own[j];
  }
  static CAFFE_HOST_DEVICE void Narrow(bool is_upper, int* first, int* count) {
    if (is_upper) {
      *first += kKept;
      *count -= kKept;
    } else if (*count > kKept) {
      *count = kKept;
    }
  }
#ifdef __CUDACC__
  template <typename T>
  static __device__ void Run(int lane, T* own, int* first, int* count) {
    const bool is_upper = (lane & half) != 0;
    for (int j = 0; j < kKept; ++j) {
      T given, kept;
      Divide(is_upper, own, j, &given, &kept);
      own[j] = kept + __shfl_xor_sync(0xFFFFFFFFu, given, half);
    }
    Narrow(is_upper, first, count);
    Next::Run(lane, own, first, count);
  }
#endif
  /// All lanes, one after another.
  template <typename T, int N>
  static void RunWarp(T (*own)[N], int* first, int* count) {
    const int lanes = Block::kWarp;
    for (int j = 0; j < kKept; ++j) {
      T given[lanes], kept[lanes];
      for (int lane = 0; lane < lanes; ++lane) {
        Divide((lane & half) != 0, own[lane], j, &given[lane], &kept[lane]);
      }
      for (int lane = 0; lane < lanes; ++lane) own[lane][j] = kept[lane] + given[lane ^ half];
    }
    for (int lane = 0; lane < lanes; ++lane) {
      Narrow((lane & half) != 0, &first[lane], &count[lane]);
    }
    Next::RunWarp(own, first, count);
  }
};
template <int n>
struct FoldWarp<n, 0> {
  static const int kLeft = n;
#ifdef __CUDACC__
  template <typename T>
  static __device__ void Run(int, T*, int*, int*) {}
#endif
  template <typename T, int N>
  static void RunWarp(T (*)[N], int*, int*) {}
};

}  // namespace internal

template <int N, typename T, class Add, class Take>
CAFFE_HOST_DEVICE void Block::Sums(int count, T* scratch, const Add& add, const Take& take) const {
  const int warps = threads_ / kWarp;
  typedef internal::FoldWarp<N, kWarp / 2> Fold;
#ifdef __CUDA_ARCH__
  T own[N];
  for (int j = 0; j < N; ++j) own[j] = 0;
  for (int i = Thread(); i < count; i += threads_) add(i, own);
  int first = 0, left = N;
  Fold::Run(Thread() % kWarp, own, &first, &left);
  for (int j = 0; j < Fold::kLeft; ++j) {
    if (j < left) scratch[Thread() / kWarp * N + first + j] = own[j];
  }
  Wait();
#else
  for (int nth = 0; nth < warps; ++nth) {
    const int w = Turn(nth, warps);
    T own[kWarp][N] = {};
    int first[kWarp] = {}, left[kWarp];
    for (int turn = 0; turn < kWarp; ++turn) {
      const int lane = Turn(turn, kWarp);
      for (int i = w * kWarp + lane; i < count; i += threads_) add(i, own[lane]);
      left[lane] = N;
    }
    Fold::RunWarp(own, first, left);
    for (int lane = 0; lane < kWarp; ++lane) {
      for (int j = 0; j < left[lane]; ++j) scratch[w * N + first[lane] + j] = own[lane][j];
    }
  }
#endif
  Run(N, [&](int j) {
    T total = 0;
    for (int w = 0; w < warps; ++w) total += scratch[w * N + j];
    take(j, total);
  });
}

}  // namespace caffe

#endif  // CAFFE_UTIL_DEVICE_BLOCK_HPP_

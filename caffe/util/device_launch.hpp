#ifndef CAFFE_UTIL_DEVICE_LAUNCH_HPP_
#define CAFFE_UTIL_DEVICE_LAUNCH_HPP_

// How kernels are written and started; for .cu files, which nvcc compiles, or in a build without
// CUDA the C++ compiler. A kernel is a struct with its arguments as members and one operator():
//
//     template <typename Dtype>
//     struct Scale {
//       Dtype alpha;
//       const Dtype* x;
//       Dtype* y;
//       CAFFE_HOST_DEVICE void operator()(int i) const { y[i] = alpha * x[i]; }
//     };
//     ForEachIndex(count, Scale<Dtype>{alpha, x, y});
//
// A kernel that two libraries start is in an anonymous namespace, or has a type in its arguments
// that is: CUDA 12 takes kernels of one name for one, and each library has a runtime of its own.
// The same body runs on the GPU and, on the emulated device (util/device.hpp), on the CPU. One
// whose threads work together takes a Block (caffe/util/device_block.hpp) and has its work in
// steps; see ForEachBlock.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "caffe/util/device.hpp"
#include "caffe/util/device_block.hpp"
#include "util/error.hpp"
#include "util/philox.hpp"

#ifdef __CUDACC__
#include <cuda_runtime.h>
#endif

namespace caffe {

#ifdef __CUDACC__

namespace internal {

template <class Kernel>
__global__ void RunIndices(int64_t count, const Kernel kernel) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    kernel(static_cast<int>(i));
  }
}

template <class Kernel>
__global__ void RunBlock(const Kernel kernel) {
  extern __shared__ __align__(16) char shared[];
  Block block(blockIdx.x, blockDim.x, shared);
  kernel(block);
}

// Of a kernel with kBlockThreads and kBlocksAtOnce: that many of its blocks, of at most that many
// threads, have registers on a multiprocessor at the same time.
template <class Kernel>
__global__ void __launch_bounds__(Kernel::kBlockThreads, Kernel::kBlocksAtOnce)
    RunBoundedBlock(const Kernel kernel) {
  extern __shared__ __align__(16) char shared[];
  Block block(blockIdx.x, blockDim.x, shared);
  kernel(block);
}

template <class Kernel, typename = void>
struct BlockRunner {
  static auto Get() { return &RunBlock<Kernel>; }
};
template <class Kernel>
struct BlockRunner<Kernel, std::enable_if_t<(Kernel::kBlocksAtOnce > 0)>> {
  static auto Get() { return &RunBoundedBlock<Kernel>; }
};

// Static: each library has the CUDA runtime linked in, and these two must be those of the library
// that starts the kernel.
static void Check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // is not kept for the next launch
  THROW_ERROR << "GPU: " << what << ": " << cudaGetErrorString(status);
}

static cudaStream_t Stream() {
  return static_cast<cudaStream_t>(Device::Get().Stream());
}

// Such a library has its own idea of the thread's GPU.
static void UseSelected() {
  int id = 0;
  Check(cudaGetDevice(&id), "selection");
  const int selected = Device::Get().Selected();
  if (id != selected) Check(cudaSetDevice(selected), "selection");
}

}  // namespace internal

#else

namespace internal {

// A C++ file of a build with CUDA: it has the kernel for the emulated device alone.
[[noreturn]] inline void NotForAGpu() {
  THROW_ERROR << "a kernel was started from a file that nvcc did not compile";
}

}  // namespace internal

#endif  // __CUDACC__

/// kernel(i) for i = 0 .. count - 1, in any order and at the same time.
template <class Kernel>
void ForEachIndex(int count, const Kernel& kernel) {
  if (count <= 0) return;
  if (Device::Get().IsEmulated()) {
    Device::Get().Do([=] {
      for (int i = count - 1; i >= 0; --i) kernel(i);
    });
    return;
  }
#ifdef __CUDACC__
  internal::UseSelected();
  const int threads = 256;
  const int64_t blocks = (int64_t{count} + threads - 1) / threads;
  const int64_t most = 1 << 16;
  internal::RunIndices<<<static_cast<unsigned>(blocks < most ? blocks : most), threads, 0,
                         internal::Stream()>>>(int64_t{count}, kernel);
  internal::Check(cudaGetLastError(), "launch");
#else
  internal::NotForAGpu();
#endif
}

/// kernel(block) for block.index() = 0 .. blocks - 1, each with `threads` threads, a multiple of
/// Block::kWarp of at most Block::kMostThreads, and `shared` bytes of memory for Block::Shared. A
/// kernel may bound its registers: static const int kBlockThreads, its most threads, and
/// kBlocksAtOnce, the blocks that a multiprocessor should have room for.
template <class Kernel>
void ForEachBlock(int blocks, int threads, size_t shared, const Kernel& kernel) {
  ENFORCE(threads > 0 && threads <= Block::kMostThreads && threads % Block::kWarp == 0)
      << "a kernel was started with " << threads << " threads";
  shared += Block::kSumBytes;
  if (blocks <= 0) return;
  const size_t granted = 48 << 10;  // what every kernel may have without asking
  if (shared > granted) {
    const size_t most = Device::Get().SharedMemory();
    ENFORCE(shared <= most) << "a kernel needs " << shared
                            << " bytes of shared memory, the GPU has " << most
                            << ": the images are too wide for it";
  }
  if (Device::Get().IsEmulated()) {
    static std::atomic<unsigned> launches{0};
    const bool turns_around = launches++ % 2 == 1;
    Device::Get().Do([=] {
      for (int i = blocks - 1; i >= 0; --i) {
        // All ones (not a number): what is read before it was written shows.
        std::vector<double> memory(shared / sizeof(double) + 2);
        std::memset(memory.data(), 0xFF, memory.size() * sizeof(double));
        Block block(i, threads, reinterpret_cast<char*>(memory.data()));
        block.Bound((shared - Block::kSumBytes + 15) / 16 * 16);
        if (turns_around) block.TurnAround();
        kernel(block);
      }
    });
    return;
  }
#ifdef __CUDACC__
  internal::UseSelected();
  if (shared > granted) {
    // All that there is: another thread may start the same kernel with less.
    internal::Check(cudaFuncSetAttribute(internal::BlockRunner<Kernel>::Get(),
                                         cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         static_cast<int>(Device::Get().SharedMemory())),
                    "shared memory");
  }
  internal::BlockRunner<Kernel>::Get()<<<blocks, threads, shared, internal::Stream()>>>(kernel);
  internal::Check(cudaGetLastError(), "launch");
#else
  internal::NotForAGpu();
#endif
}

namespace {

template <typename Dtype>
struct SetElement {
  Dtype value;
  Dtype* to;
  CAFFE_HOST_DEVICE void operator()(int i) const { to[i] = value; }
};

/// to[0 .. count - 1] = value
template <typename Dtype>
void SetAll(int count, Dtype value, Dtype* to) {
  ForEachIndex(count, SetElement<Dtype>{value, to});
}

}  // namespace

/// Kernel for `count` warps, each as if it were a block with `bytes` of shared memory, several to a
/// block: many small blocks of one warp leave most of a multiprocessor idle. Of such blocks a
/// multiprocessor has registers for Kernel::kBlocksOfWarps.
template <class Kernel>
struct InWarps {
  static const int kBlockThreads = 8 * Block::kWarp, kBlocksAtOnce = Kernel::kBlocksOfWarps;
  Kernel kernel;
  int count;
  size_t bytes;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    block.ForEachWarp(bytes, [&](Block& own) {
      if (own.index() < count) kernel(own);
    });
  }
};

/// kernel(block) for block.index() = 0 .. count - 1, each with the threads of a warp and `shared`
/// bytes of memory for Block::Shared.
template <class Kernel>
void ForEachWarp(int count, size_t shared, const Kernel& kernel) {
  const size_t most = size_t{32} << 10, bytes = (shared + 15) / 16 * 16;
  int warps = InWarps<Kernel>::kBlockThreads / Block::kWarp;
  while (warps > 1 && warps * bytes > most) warps /= 2;
  ForEachBlock((count + warps - 1) / warps, warps * Block::kWarp, warps * bytes,
               InWarps<Kernel>{kernel, count, bytes});
}

/// Two kernels in one, where neither reads what the other writes: the blocks of First, and behind
/// them those of Second. Started with the sum of their blocks and the greater shared memory.
template <class First, class Second>
struct Beside {
  First first;
  int first_blocks;
  Second second;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    Block own = block.From(block.index() < first_blocks ? 0 : first_blocks);
    if (block.index() < first_blocks) {
      first(own);
    } else {
      second(own);
    }
  }
};

}  // namespace caffe

#endif  // CAFFE_UTIL_DEVICE_LAUNCH_HPP_

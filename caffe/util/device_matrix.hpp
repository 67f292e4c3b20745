#ifndef CAFFE_UTIL_DEVICE_MATRIX_HPP_
#define CAFFE_UTIL_DEVICE_MATRIX_HPP_

// Matrix products that the threads of a kernel form from shared memory, for .cu files.

#include <cstdint>
#include <vector>

#include "caffe/util/device_block.hpp"

namespace caffe {

/// x as a tensor core reads it (TF32, 10 bits of mantissa), rounded to nearest rather than cut off;
/// x itself where there is no such core (before compute capability 8.0, the emulated device).
CAFFE_HOST_DEVICE inline float RoundToTensorFloat(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return __uint_as_float(bits);
#else
  return x;
#endif
}

/// Of each warp of a block `kTiles` matrices of 16 x 8 floats, in its threads' registers. They
/// begin as zero; all functions are called by all threads, each a(...) and b(...) may be called by
/// any.
template <int kTiles>
class WarpTiles {
 public:
  static const int kRows = 16, kColumns = 8, kDepth = 8;

#ifdef __CUDA_ARCH__
  __device__ explicit WarpTiles(const Block&)
      : warp_(threadIdx.x / Block::kWarp),
        row_(threadIdx.x % Block::kWarp / 4),
        column_(threadIdx.x % 4) {
    for (int t = 0; t < kTiles; ++t) {
      for (int i = 0; i < 4; ++i) sums_[t][i] = 0;
    }
  }
#else
  explicit WarpTiles(const Block& block)
      : warps_(block.threads() / Block::kWarp), sums_(warps_ * kTiles * kRows * kColumns) {}
#endif

  /// tile[t](m, n) += sum_{k < 8} a(warp, m, k) b(warp, t, k, n), a and b being of TF32's
  /// precision.
  template <class A, class B>
  CAFFE_HOST_DEVICE void AddProducts(const A& a, const B& b) {
#ifdef __CUDA_ARCH__
#if __CUDA_ARCH__ >= 800
    // Which thread has which element: PTX ISA, "Matrix fragments for mma.m16n8k8".
    const uint32_t a0 = __float_as_uint(a(warp_, row_, column_));
    const uint32_t a1 = __float_as_uint(a(warp_, row_ + 8, column_));
    const uint32_t a2 = __float_as_uint(a(warp_, row_, column_ + 4));
    const uint32_t a3 = __float_as_uint(a(warp_, row_ + 8, column_ + 4));
    CAFFE_UNROLL
    for (int t = 0; t < kTiles; ++t) {
      const uint32_t b0 = __float_as_uint(b(warp_, t, column_, row_));
      const uint32_t b1 = __float_as_uint(b(warp_, t, column_ + 4, row_));
      asm volatile(
          "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, "
          "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
          : "+f"(sums_[t][0]), "+f"(sums_[t][1]), "+f"(sums_[t][2]), "+f"(sums_[t][3])
          : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
    }
#else
    for (int t = 0; t < kTiles; ++t) {
      for (int k = 0; k < kDepth; ++k) {
        for (int i = 0; i < 4; ++i) {
          sums_[t][i] += a(warp_, Row(i), k) * b(warp_, t, k, Column(i));
        }
      }
    }
#endif
#else
    for (int i = 0; i < warps_ * kTiles; ++i) {
      float* tile = &sums_[i * kRows * kColumns];
      for (int m = 0; m < kRows; ++m) {
        for (int k = 0; k < kDepth; ++k) {
          const float factor = a(i / kTiles, m, k);
          for (int n = 0; n < kColumns; ++n) {
            tile[m * kColumns + n] += factor * b(i / kTiles, i % kTiles, k, n);
          }
        }
      }
    }
#endif
  }

  /// take(warp, m, n, sum) for each element of the warps' tiles t.
  template <class Take>
  CAFFE_HOST_DEVICE void ForEach(int t, const Take& take) const {
#ifdef __CUDA_ARCH__
    for (int i = 0; i < 4; ++i) take(warp_, Row(i), Column(i), sums_[t][i]);
#else
    for (int w = 0; w < warps_; ++w) {
      const float* tile = &sums_[(w * kTiles + t) * kRows * kColumns];
      for (int i = 0; i < kRows * kColumns; ++i) take(w, i / kColumns, i % kColumns, tile[i]);
    }
#endif
  }

 private:
#ifdef __CUDA_ARCH__
  __device__ int Row(int i) const {
    return i < 2 ? row_ : row_ + 8;
  }
  __device__ int Column(int i) const {
    return 2 * column_ + i % 2;
  }
  int warp_, row_, column_;
  float sums_[kTiles][4];
#else
  int warps_;
  std::vector<float> sums_;
#endif
};

}  // namespace caffe

#endif  // CAFFE_UTIL_DEVICE_MATRIX_HPP_

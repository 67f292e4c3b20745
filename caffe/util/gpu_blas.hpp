#ifndef CAFFE_UTIL_GPU_BLAS_HPP_
#define CAFFE_UTIL_GPU_BLAS_HPP_

#include "caffe/util/math_functions.hpp"

namespace caffe {

/// caffe_gpu_gemm of `batch` matrices each: number i of A, B and C begins at A + i stride_a and so
/// on. A stride of 0 takes the same matrix for all (not of C).
template <typename Dtype>
void GpuGemmBatched(CBLAS_TRANSPOSE TransA, CBLAS_TRANSPOSE TransB, int M, int N, int K,
                    Dtype alpha, const Dtype* A, size_t stride_a, const Dtype* B, size_t stride_b,
                    Dtype beta, Dtype* C, size_t stride_c, int batch);

}  // namespace caffe

#endif  // CAFFE_UTIL_GPU_BLAS_HPP_

// caffe_gpu_gemm, caffe_gpu_gemv and GpuGemmBatched: cuBLAS on a GPU, the host's BLAS on the
// emulated device.

#include "caffe/util/gpu_blas.hpp"

#include "caffe/util/device.hpp"

#ifdef METAPERTURB_CUDA
#include <cublas_v2.h>

#include "caffe/util/dynamic_library.hpp"
#endif

namespace caffe {

#ifdef METAPERTURB_CUDA

namespace {

// cuBLAS is loaded when it is first needed: CPU mode runs on a machine without it.
struct Cublas {
  decltype(&cublasCreate_v2) create;
  decltype(&cublasDestroy_v2) destroy;
  decltype(&cublasGetStatusString) status_string;
  decltype(&cublasSetStream_v2) set_stream;
  decltype(&cublasSetMathMode) set_math_mode;
  decltype(&cublasSgemmStridedBatched) sgemm_batched;
  decltype(&cublasDgemmStridedBatched) dgemm_batched;
  decltype(&cublasSgemv_v2) sgemv;
  decltype(&cublasDgemv_v2) dgemv;

  static const Cublas& Get() {
    static const Cublas functions = [] {
      const DynamicLibrary library("libcublas.so." + std::to_string(CUBLAS_VER_MAJOR),
                                   METAPERTURB_CUBLAS_FOLDER);
      Cublas loaded;
      library.Find("cublasCreate_v2", &loaded.create);
      library.Find("cublasDestroy_v2", &loaded.destroy);
      library.Find("cublasGetStatusString", &loaded.status_string);
      library.Find("cublasSetStream_v2", &loaded.set_stream);
      library.Find("cublasSetMathMode", &loaded.set_math_mode);
      library.Find("cublasSgemmStridedBatched", &loaded.sgemm_batched);
      library.Find("cublasDgemmStridedBatched", &loaded.dgemm_batched);
      library.Find("cublasSgemv_v2", &loaded.sgemv);
      library.Find("cublasDgemv_v2", &loaded.dgemv);
      return loaded;
    }();
    return functions;
  }
};

void Check(cublasStatus_t status, const char* what) {
  ENFORCE(status == CUBLAS_STATUS_SUCCESS)
      << "GPU: cuBLAS: " << what << ": " << Cublas::Get().status_string(status);
}

// One per thread and GPU.
struct Handles {
  map<int, cublasHandle_t> of_gpu;
  ~Handles() {
    for (const auto& each : of_gpu) Cublas::Get().destroy(each.second);
  }
};

cublasHandle_t Handle() {
  Cublas::Get();  // outlives the handles
  static thread_local Handles handles;
  cublasHandle_t& handle = handles.of_gpu[Device::Get().Selected()];
  if (!handle) {
    if (Cublas::Get().create(&handle) != CUBLAS_STATUS_SUCCESS) {
      Device::Get().ReleaseFreed();  // it needs memory of its own
      Check(Cublas::Get().create(&handle), "start");
    }
    Check(Cublas::Get().set_math_mode(handle, CUBLAS_TF32_TENSOR_OP_MATH), "TF32");
  }
  Check(Cublas::Get().set_stream(handle, static_cast<cudaStream_t>(Device::Get().Stream())),
        "stream");
  return handle;
}

cublasOperation_t Operation(CBLAS_TRANSPOSE transpose) {
  return transpose == CblasNoTrans ? CUBLAS_OP_N : CUBLAS_OP_T;
}

// cuBLAS is column-major: in its terms these arrays hold the transposed matrices, and
// C^T = op(B)^T op(A)^T.
template <typename Dtype, class Gemm>
void RowMajorGemm(const Gemm& gemm, CBLAS_TRANSPOSE TransA, CBLAS_TRANSPOSE TransB, int M, int N,
                  int K, Dtype alpha, const Dtype* A, size_t stride_a, const Dtype* B,
                  size_t stride_b, Dtype beta, Dtype* C, size_t stride_c, int batch) {
  const int lda = TransA == CblasNoTrans ? K : M;
  const int ldb = TransB == CblasNoTrans ? N : K;
  Check(gemm(Handle(), Operation(TransB), Operation(TransA), N, M, K, &alpha, B, ldb,
             static_cast<long long>(stride_b), A, lda, static_cast<long long>(stride_a), &beta, C,
             N, static_cast<long long>(stride_c), batch),
        "matrix product");
}

template <typename Dtype, class Gemv>
void RowMajorGemv(const Gemv& gemv, CBLAS_TRANSPOSE TransA, int M, int N, Dtype alpha,
                  const Dtype* A, const Dtype* x, Dtype beta, Dtype* y) {
  const cublasOperation_t operation = TransA == CblasNoTrans ? CUBLAS_OP_T : CUBLAS_OP_N;
  Check(gemv(Handle(), operation, N, M, &alpha, A, N, x, 1, &beta, y, 1), "matrix-vector product");
}

void CudaGemm(CBLAS_TRANSPOSE TransA, CBLAS_TRANSPOSE TransB, int M, int N, int K, float alpha,
              const float* A, size_t stride_a, const float* B, size_t stride_b, float beta,
              float* C, size_t stride_c, int batch) {
  RowMajorGemm(Cublas::Get().sgemm_batched, TransA, TransB, M, N, K, alpha, A, stride_a, B,
               stride_b, beta, C, stride_c, batch);
}
void CudaGemm(CBLAS_TRANSPOSE TransA, CBLAS_TRANSPOSE TransB, int M, int N, int K, double alpha,
              const double* A, size_t stride_a, const double* B, size_t stride_b, double beta,
              double* C, size_t stride_c, int batch) {
  RowMajorGemm(Cublas::Get().dgemm_batched, TransA, TransB, M, N, K, alpha, A, stride_a, B,
               stride_b, beta, C, stride_c, batch);
}
void CudaGemv(CBLAS_TRANSPOSE TransA, int M, int N, float alpha, const float* A, const float* x,
              float beta, float* y) {
  RowMajorGemv(Cublas::Get().sgemv, TransA, M, N, alpha, A, x, beta, y);
}
void CudaGemv(CBLAS_TRANSPOSE TransA, int M, int N, double alpha, const double* A, const double* x,
              double beta, double* y) {
  RowMajorGemv(Cublas::Get().dgemv, TransA, M, N, alpha, A, x, beta, y);
}

}  // namespace

#endif  // METAPERTURB_CUDA

template <typename Dtype>
void GpuGemmBatched(CBLAS_TRANSPOSE TransA, CBLAS_TRANSPOSE TransB, int M, int N, int K,
                    Dtype alpha, const Dtype* A, size_t stride_a, const Dtype* B, size_t stride_b,
                    Dtype beta, Dtype* C, size_t stride_c, int batch) {
#ifdef METAPERTURB_CUDA
  if (!Device::Get().IsEmulated()) {
    CudaGemm(TransA, TransB, M, N, K, alpha, A, stride_a, B, stride_b, beta, C, stride_c, batch);
    return;
  }
#endif
  Device::Get().Do([=] {
    for (int i = 0; i < batch; ++i) {
      caffe_cpu_gemm(TransA, TransB, M, N, K, alpha, A + i * stride_a, B + i * stride_b, beta,
                     C + i * stride_c);
    }
  });
}

template <typename Dtype>
void caffe_gpu_gemm(const CBLAS_TRANSPOSE TransA, const CBLAS_TRANSPOSE TransB, const int M,
                    const int N, const int K, const Dtype alpha, const Dtype* A, const Dtype* B,
                    const Dtype beta, Dtype* C) {
  GpuGemmBatched(TransA, TransB, M, N, K, alpha, A, 0, B, 0, beta, C, 0, 1);
}

template <typename Dtype>
void caffe_gpu_gemv(const CBLAS_TRANSPOSE TransA, const int M, const int N, const Dtype alpha,
                    const Dtype* A, const Dtype* x, const Dtype beta, Dtype* y) {
#ifdef METAPERTURB_CUDA
  if (!Device::Get().IsEmulated()) {
    CudaGemv(TransA, M, N, alpha, A, x, beta, y);
    return;
  }
#endif
  Device::Get().Do([=] { caffe_cpu_gemv(TransA, M, N, alpha, A, x, beta, y); });
}

#define INSTANTIATE_GPU_BLAS(Dtype)                                                                \
  template void caffe_gpu_gemm(const CBLAS_TRANSPOSE, const CBLAS_TRANSPOSE, const int, const int, \
                               const int, const Dtype, const Dtype*, const Dtype*, const Dtype,    \
                               Dtype*);                                                            \
  template void GpuGemmBatched(CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, int, int, int, Dtype,             \
                               const Dtype*, size_t, const Dtype*, size_t, Dtype, Dtype*, size_t,  \
                               int);                                                               \
  template void caffe_gpu_gemv(const CBLAS_TRANSPOSE, const int, const int, const Dtype,           \
                               const Dtype*, const Dtype*, const Dtype, Dtype*)
INSTANTIATE_GPU_BLAS(float);
INSTANTIATE_GPU_BLAS(double);

}  // namespace caffe

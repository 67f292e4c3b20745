#ifndef CAFFE_UTIL_DEVICE_ALTERNATE_HPP_
#define CAFFE_UTIL_DEVICE_ALTERNATE_HPP_

// The macros that layers written for Caffe name in their GPU halves. This project's own layers have
// no need of them: their kernels are started by caffe/util/device_launch.hpp in either build.

#ifdef CPU_ONLY

// A layer without a .cu file.

#define NO_GPU LOG(FATAL) << "Cannot use GPU in CPU-only Caffe: check mode."

#define STUB_GPU(classname)                                                      \
  template <typename Dtype>                                                      \
  void classname<Dtype>::Forward_gpu(const std::vector<Blob<Dtype>*>& bottom,    \
                                     const std::vector<Blob<Dtype>*>& top) {     \
    NO_GPU;                                                                      \
  }                                                                              \
  template <typename Dtype>                                                      \
  void classname<Dtype>::Backward_gpu(const std::vector<Blob<Dtype>*>& top,      \
                                      const std::vector<bool>& propagate_down,   \
                                      const std::vector<Blob<Dtype>*>& bottom) { \
    NO_GPU;                                                                      \
  }

#define STUB_GPU_FORWARD(classname, funcname)                                    \
  template <typename Dtype>                                                      \
  void classname<Dtype>::funcname##_gpu(const std::vector<Blob<Dtype>*>& bottom, \
                                        const std::vector<Blob<Dtype>*>& top) {  \
    NO_GPU;                                                                      \
  }

#define STUB_GPU_BACKWARD(classname, funcname)                                     \
  template <typename Dtype>                                                        \
  void classname<Dtype>::funcname##_gpu(const std::vector<Blob<Dtype>*>& top,      \
                                        const std::vector<bool>& propagate_down,   \
                                        const std::vector<Blob<Dtype>*>& bottom) { \
    NO_GPU;                                                                        \
  }

#else

// For .cu files, which include the CUDA headers that they use.

/// Ends the process, naming the error, unless the CUDA runtime's function succeeded.
#define CUDA_CHECK(call)                                           \
  do {                                                             \
    const cudaError_t cuda_check_status = (call);                  \
    CHECK_EQ(cuda_check_status, cudaSuccess)                       \
        << #call << ": " << cudaGetErrorString(cuda_check_status); \
  } while (false)

/// The same for cuBLAS.
#define CUBLAS_CHECK(call)                                         \
  do {                                                             \
    const cublasStatus_t cublas_check_status = (call);             \
    CHECK_EQ(cublas_check_status, CUBLAS_STATUS_SUCCESS) << #call; \
  } while (false)

/// After a kernel was started: whether it could be.
#define CUDA_POST_KERNEL_CHECK CUDA_CHECK(cudaPeekAtLastError())

/// Within a kernel: i = 0 .. n - 1, divided among all threads.
#define CUDA_KERNEL_LOOP(i, n) \
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += blockDim.x * gridDim.x)

namespace caffe {

/// Threads per block for CUDA_KERNEL_LOOP, and the blocks that N elements need.
const int CAFFE_CUDA_NUM_THREADS = 512;
inline int CAFFE_GET_BLOCKS(const int N) {
  return (N + CAFFE_CUDA_NUM_THREADS - 1) / CAFFE_CUDA_NUM_THREADS;
}

}  // namespace caffe

#endif  // CPU_ONLY

#endif  // CAFFE_UTIL_DEVICE_ALTERNATE_HPP_

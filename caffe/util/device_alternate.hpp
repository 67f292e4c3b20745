#ifndef CAFFE_UTIL_DEVICE_ALTERNATE_HPP_
#define CAFFE_UTIL_DEVICE_ALTERNATE_HPP_

// What a layer's GPU half needs in a build without CUDA. Layers written for Caffe name these
// macros.

#ifdef CPU_ONLY

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
#error "This build of the framework has no CUDA part: define CPU_ONLY."
#endif

#endif  // CAFFE_UTIL_DEVICE_ALTERNATE_HPP_

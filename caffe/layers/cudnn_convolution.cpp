#include "caffe/layers/gpu_convolution.hpp"

#include "util/error.hpp"

#ifdef METAPERTURB_CUDNN
#include <cudnn.h>

#include <map>

#include "caffe/util/device_workspace.hpp"
#include "caffe/util/dynamic_library.hpp"
#endif

namespace caffe {

#ifdef METAPERTURB_CUDNN

namespace {

// Loaded when it is first needed: CPU mode runs on a machine without it.
struct Cudnn {
  decltype(&cudnnCreate) create;
  decltype(&cudnnDestroy) destroy;
  decltype(&cudnnSetStream) set_stream;
  decltype(&cudnnGetErrorString) error_string;
  decltype(&cudnnCreateTensorDescriptor) create_tensor;
  decltype(&cudnnSetTensor4dDescriptor) set_tensor;
  decltype(&cudnnDestroyTensorDescriptor) destroy_tensor;
  decltype(&cudnnCreateFilterDescriptor) create_filter;
  decltype(&cudnnSetFilter4dDescriptor) set_filter;
  decltype(&cudnnDestroyFilterDescriptor) destroy_filter;
  decltype(&cudnnCreateConvolutionDescriptor) create_convolution;
  decltype(&cudnnSetConvolution2dDescriptor) set_convolution;
  decltype(&cudnnSetConvolutionGroupCount) set_group;
  decltype(&cudnnSetConvolutionMathType) set_math;
  decltype(&cudnnDestroyConvolutionDescriptor) destroy_convolution;
  decltype(&cudnnFindConvolutionForwardAlgorithmEx) find_forward;
  decltype(&cudnnFindConvolutionBackwardDataAlgorithmEx) find_data;
  decltype(&cudnnFindConvolutionBackwardFilterAlgorithmEx) find_filter;
  decltype(&cudnnGetConvolutionForwardAlgorithm_v7) get_forward;
  decltype(&cudnnGetConvolutionBackwardDataAlgorithm_v7) get_data;
  decltype(&cudnnGetConvolutionBackwardFilterAlgorithm_v7) get_filter;
  decltype(&cudnnConvolutionForward) forward;
  decltype(&cudnnConvolutionBackwardData) data;
  decltype(&cudnnConvolutionBackwardFilter) filter;
  decltype(&cudnnAddTensor) add;

  Cudnn() {
    const DynamicLibrary library("libcudnn.so." + std::to_string(CUDNN_MAJOR),
                                 METAPERTURB_CUDNN_FOLDER);
    library.Find("cudnnCreate", &create);
    library.Find("cudnnDestroy", &destroy);
    library.Find("cudnnSetStream", &set_stream);
    library.Find("cudnnGetErrorString", &error_string);
    library.Find("cudnnCreateTensorDescriptor", &create_tensor);
    library.Find("cudnnSetTensor4dDescriptor", &set_tensor);
    library.Find("cudnnDestroyTensorDescriptor", &destroy_tensor);
    library.Find("cudnnCreateFilterDescriptor", &create_filter);
    library.Find("cudnnSetFilter4dDescriptor", &set_filter);
    library.Find("cudnnDestroyFilterDescriptor", &destroy_filter);
    library.Find("cudnnCreateConvolutionDescriptor", &create_convolution);
    library.Find("cudnnSetConvolution2dDescriptor", &set_convolution);
    library.Find("cudnnSetConvolutionGroupCount", &set_group);
    library.Find("cudnnSetConvolutionMathType", &set_math);
    library.Find("cudnnDestroyConvolutionDescriptor", &destroy_convolution);
    library.Find("cudnnFindConvolutionForwardAlgorithmEx", &find_forward);
    library.Find("cudnnFindConvolutionBackwardDataAlgorithmEx", &find_data);
    library.Find("cudnnFindConvolutionBackwardFilterAlgorithmEx", &find_filter);
    library.Find("cudnnGetConvolutionForwardAlgorithm_v7", &get_forward);
    library.Find("cudnnGetConvolutionBackwardDataAlgorithm_v7", &get_data);
    library.Find("cudnnGetConvolutionBackwardFilterAlgorithm_v7", &get_filter);
    library.Find("cudnnConvolutionForward", &forward);
    library.Find("cudnnConvolutionBackwardData", &data);
    library.Find("cudnnConvolutionBackwardFilter", &filter);
    library.Find("cudnnAddTensor", &add);
  }

  static const Cudnn& Get() {
    static const Cudnn functions;
    return functions;
  }
};

void Check(cudnnStatus_t status, const char* what) {
  ENFORCE(status == CUDNN_STATUS_SUCCESS)
      << "GPU: cuDNN: " << what << ": " << Cudnn::Get().error_string(status);
}

// One per thread and GPU.
struct Handles {
  std::map<int, cudnnHandle_t> of_gpu;
  ~Handles() {
    for (const auto& each : of_gpu) Cudnn::Get().destroy(each.second);
  }
};

cudnnHandle_t Handle() {
  Cudnn::Get();  // outlives the handles
  static thread_local Handles handles;
  cudnnHandle_t& handle = handles.of_gpu[Device::Get().Selected()];
  if (!handle && Cudnn::Get().create(&handle) != CUDNN_STATUS_SUCCESS) {
    Device::Get().ReleaseFreed();  // it needs memory of its own
    Check(Cudnn::Get().create(&handle), "start");
  }
  Check(Cudnn::Get().set_stream(handle, static_cast<cudaStream_t>(Device::Get().Stream())),
        "stream");
  return handle;
}

// What an algorithm may use; more is seldom faster.
const size_t kMostWorkspace = size_t{256} << 20;

/// The algorithm of one pass, once it has been chosen, its workspace, and whether it uses the
/// tensor cores: cuDNN lists some algorithms with and without.
template <class Algorithm>
struct Choice {
  bool is_made = false;
  Algorithm algorithm{};
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
  size_t workspace = 0;

  /// `found`: `count` that were measured, or are expected, to be fast, the fastest first.
  template <class Measurement>
  void Make(const Measurement* found, int count, const char* pass) {
    for (int i = 0; i < count && !is_made; ++i) {
      if (found[i].status != CUDNN_STATUS_SUCCESS) continue;
      if (found[i].determinism != CUDNN_DETERMINISTIC) continue;
      if (found[i].memory > kMostWorkspace) continue;
      is_made = true;
      algorithm = found[i].algo;
      math = found[i].mathType;
      workspace = found[i].memory;
    }
    ENFORCE(is_made) << "GPU: cuDNN has no algorithm that repeats for the " << pass
                     << "; engine: CAFFE does without it";
  }
};

// Those that were made are destroyed, also where the next could not be.
struct Descriptors {
  cudnnTensorDescriptor_t x = nullptr, y = nullptr, bias = nullptr;
  cudnnFilterDescriptor_t weights = nullptr;
  cudnnConvolutionDescriptor_t convolution = nullptr;
  ~Descriptors() {
    const Cudnn& c = Cudnn::Get();
    for (cudnnTensorDescriptor_t tensor : {x, y, bias}) {
      if (tensor) c.destroy_tensor(tensor);
    }
    if (weights) c.destroy_filter(weights);
    if (convolution) c.destroy_convolution(convolution);
  }
};

template <typename Dtype>
class ByCudnn : public GpuConvolution<Dtype> {
 public:
  ByCudnn(const ConvGeometry& g, bool measure)
      : GpuConvolution<Dtype>(g),
        weights_count_(size_t(g.out_channels) * (g.in_channels / g.group) * g.kernel_h *
                       g.kernel_w) {
    const Cudnn& c = Cudnn::Get();
    const cudnnDataType_t type = sizeof(Dtype) == 4 ? CUDNN_DATA_FLOAT : CUDNN_DATA_DOUBLE;
    const auto tensor = [&](cudnnTensorDescriptor_t* t, int n, int channels, int h, int w) {
      Check(c.create_tensor(t), "descriptor");
      Check(c.set_tensor(*t, CUDNN_TENSOR_NCHW, type, n, channels, h, w), "descriptor");
    };
    tensor(&d_.x, g.num, g.in_channels, g.in_h, g.in_w);
    tensor(&d_.y, g.num, g.out_channels, g.out_h, g.out_w);
    tensor(&d_.bias, 1, g.out_channels, 1, 1);
    Check(c.create_filter(&d_.weights), "descriptor");
    Check(c.set_filter(d_.weights, type, CUDNN_TENSOR_NCHW, g.out_channels, g.in_channels / g.group,
                       g.kernel_h, g.kernel_w),
          "descriptor");
    Check(c.create_convolution(&d_.convolution), "descriptor");
    Check(c.set_convolution(d_.convolution, g.pad_h, g.pad_w, g.stride_h, g.stride_w, g.dilation_h,
                            g.dilation_w, CUDNN_CROSS_CORRELATION, type),
          "descriptor");
    Check(c.set_group(d_.convolution, g.group), "group");
    if (!measure) TakeExpected();
  }

  void Forward(const Dtype* x, const Dtype* weights, const Dtype* bias, Dtype* y) override {
    const Cudnn& c = Cudnn::Get();
    DeviceWorkspace workspace;
    if (!forward_.is_made) {
      DeviceWorkspace trial;
      cudnnConvolutionFwdAlgoPerf_t found[2 * CUDNN_CONVOLUTION_FWD_ALGO_COUNT];
      int count = 0;
      Check(c.find_forward(Handle(), d_.x, x, d_.weights, weights, d_.convolution, d_.y, y,
                           2 * CUDNN_CONVOLUTION_FWD_ALGO_COUNT, &count, found,
                           trial.Get<char>(kMostWorkspace), kMostWorkspace),
            "choice of an algorithm");
      forward_.Make(found, count, "forward pass");
    }
    Check(c.set_math(d_.convolution, forward_.math), "math type");
    Check(
        c.forward(Handle(), &one_, d_.x, x, d_.weights, weights, d_.convolution, forward_.algorithm,
                  workspace.Get<char>(forward_.workspace), forward_.workspace, &zero_, d_.y, y),
        "forward pass");
    if (bias) Check(c.add(Handle(), &one_, d_.bias, bias, &one_, d_.y, y), "bias");
  }

  void BackwardData(const Dtype* dy, const Dtype* weights, Dtype* dx) override {
    const Cudnn& c = Cudnn::Get();
    DeviceWorkspace workspace;
    if (!data_.is_made) {
      DeviceWorkspace trial;
      cudnnConvolutionBwdDataAlgoPerf_t found[2 * CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT];
      int count = 0;
      Check(c.find_data(Handle(), d_.weights, weights, d_.y, dy, d_.convolution, d_.x, dx,
                        2 * CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT, &count, found,
                        trial.Get<char>(kMostWorkspace), kMostWorkspace),
            "choice of an algorithm");
      data_.Make(found, count, "gradient of the bottom");
    }
    Check(c.set_math(d_.convolution, data_.math), "math type");
    Check(c.data(Handle(), &one_, d_.weights, weights, d_.y, dy, d_.convolution, data_.algorithm,
                 workspace.Get<char>(data_.workspace), data_.workspace, &zero_, d_.x, dx),
          "gradient of the bottom");
  }

  void BackwardWeights(const Dtype* x, const Dtype* dy, Dtype* dweights) override {
    const Cudnn& c = Cudnn::Get();
    DeviceWorkspace workspace;
    if (!filter_.is_made) {
      DeviceWorkspace trial;  // the measurements write gradients, too
      cudnnConvolutionBwdFilterAlgoPerf_t found[2 * CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT];
      int count = 0;
      Check(c.find_filter(Handle(), d_.x, x, d_.y, dy, d_.convolution, d_.weights,
                          trial.Get<Dtype>(weights_count_),
                          2 * CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT, &count, found,
                          trial.Get<char>(kMostWorkspace), kMostWorkspace),
            "choice of an algorithm");
      filter_.Make(found, count, "gradient of the weights");
    }
    Check(c.set_math(d_.convolution, filter_.math), "math type");
    Check(c.filter(Handle(), &one_, d_.x, x, d_.y, dy, d_.convolution, filter_.algorithm,
                   workspace.Get<char>(filter_.workspace), filter_.workspace, &one_, d_.weights,
                   dweights),
          "gradient of the weights");
  }

 private:
  // What cuDNN expects to be the fastest on this GPU, which is the same in every run.
  void TakeExpected() {
    const Cudnn& c = Cudnn::Get();
    int count = 0;
    cudnnConvolutionFwdAlgoPerf_t forward[2 * CUDNN_CONVOLUTION_FWD_ALGO_COUNT];
    Check(c.get_forward(Handle(), d_.x, d_.weights, d_.convolution, d_.y,
                        2 * CUDNN_CONVOLUTION_FWD_ALGO_COUNT, &count, forward),
          "choice of an algorithm");
    forward_.Make(forward, count, "forward pass");
    cudnnConvolutionBwdDataAlgoPerf_t data[2 * CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT];
    Check(c.get_data(Handle(), d_.weights, d_.y, d_.convolution, d_.x,
                     2 * CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT, &count, data),
          "choice of an algorithm");
    data_.Make(data, count, "gradient of the bottom");
    cudnnConvolutionBwdFilterAlgoPerf_t filter[2 * CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT];
    Check(c.get_filter(Handle(), d_.x, d_.y, d_.convolution, d_.weights,
                       2 * CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT, &count, filter),
          "choice of an algorithm");
    filter_.Make(filter, count, "gradient of the weights");
  }

  const Dtype one_ = 1, zero_ = 0;
  const size_t weights_count_;
  Descriptors d_;
  Choice<cudnnConvolutionFwdAlgo_t> forward_;
  Choice<cudnnConvolutionBwdDataAlgo_t> data_;
  Choice<cudnnConvolutionBwdFilterAlgo_t> filter_;
};

}  // namespace

template <typename Dtype>
std::unique_ptr<GpuConvolution<Dtype>> CudnnConvolution(const ConvGeometry& geometry, bool measure,
                                                        std::string* why_not) {
  if (Device::Get().IsEmulated()) {
    *why_not = "the emulated device has no cuDNN";
    return nullptr;
  }
  try {
    Cudnn::Get();
  } catch (const Error& e) {
    *why_not = e.what();
    return nullptr;
  }
  Handle();  // an Error if it cannot be had now: the next run should not compute otherwise than
             // this
  try {
    return std::unique_ptr<GpuConvolution<Dtype>>(new ByCudnn<Dtype>(geometry, measure));
  } catch (const Error& e) {
    *why_not = e.what();
    return nullptr;
  }
}

#else

template <typename Dtype>
std::unique_ptr<GpuConvolution<Dtype>> CudnnConvolution(const ConvGeometry&, bool,
                                                        std::string* why_not) {
  *why_not = "this build has no cuDNN";
  return nullptr;
}

#endif  // METAPERTURB_CUDNN

#define INSTANTIATE_CUDNN_CONVOLUTION(Dtype)                                                  \
  template std::unique_ptr<GpuConvolution<Dtype>> CudnnConvolution(const ConvGeometry&, bool, \
                                                                   std::string*)
INSTANTIATE_CUDNN_CONVOLUTION(float);
INSTANTIATE_CUDNN_CONVOLUTION(double);

}  // namespace caffe

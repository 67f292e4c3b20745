#include "caffe/layers/conv_layer.hpp"

#include <climits>

#include "caffe/util/bias_kernels.hpp"
#include "caffe/util/convolution_axis.hpp"
#include "caffe/util/device_workspace.hpp"
#include "caffe/util/gpu_blas.hpp"
#include "caffe/util/im2col.hpp"

namespace caffe {

namespace {

// A group per input channel: matrices of one row or column would be slow, so these are the sums
// themselves.
struct Depthwise {
  ConvolutionAxis rows, columns;
  int num, in_channels, out_channels;
  explicit Depthwise(const ConvGeometry& g)
      : rows(g.in_h, g.kernel_h, g.pad_h, g.stride_h, g.dilation_h),
        columns(g.in_w, g.kernel_w, g.pad_w, g.stride_w, g.dilation_w),
        num(g.num),
        in_channels(g.in_channels),
        out_channels(g.out_channels) {}
  static bool Suits(const ConvGeometry& g) { return g.group > 1 && g.group == g.in_channels; }
  CAFFE_HOST_DEVICE int OutputsOfOne() const { return out_channels / in_channels; }
  CAFFE_HOST_DEVICE int64_t InPlane(int image, int channel) const {
    return (int64_t{image} * in_channels + channel) * rows.in * columns.in;
  }
  CAFFE_HOST_DEVICE int64_t OutPlane(int image, int channel) const {
    return (int64_t{image} * out_channels + channel) * rows.out * columns.out;
  }
};

// One element of the output.
template <typename Dtype>
struct DepthwiseForward {
  Depthwise d;
  const Dtype *x, *weights, *bias;
  Dtype* y;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int row = i / d.columns.out % d.rows.out, column = i % d.columns.out;
    const int plane = i / d.columns.out / d.rows.out;
    const int channel = plane % d.out_channels;
    const Dtype* image = x + d.InPlane(plane / d.out_channels, channel / d.OutputsOfOne());
    const Dtype* kernel = weights + channel * d.rows.kernel * d.columns.kernel;
    Dtype sum = bias ? bias[channel] : Dtype(0);
    for (int u = 0; u < d.rows.kernel; ++u) {
      const int r = d.rows.Pixel(row, u);
      if (r < 0) continue;
      for (int v = 0; v < d.columns.kernel; ++v) {
        const int c = d.columns.Pixel(column, v);
        if (c >= 0) sum += kernel[u * d.columns.kernel + v] * image[r * d.columns.in + c];
      }
    }
    y[i] = sum;
  }
};

// The gradient of one pixel.
template <typename Dtype>
struct DepthwiseBackwardData {
  Depthwise d;
  const Dtype *dy, *weights;
  Dtype* dx;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int r = i / d.columns.in % d.rows.in, c = i % d.columns.in;
    const int plane = i / d.columns.in / d.rows.in;
    const int outputs = d.OutputsOfOne(), first = plane % d.in_channels * outputs;
    Dtype sum = 0;
    for (int o = first; o < first + outputs; ++o) {
      const Dtype* gradient = dy + d.OutPlane(plane / d.in_channels, o);
      const Dtype* kernel = weights + o * d.rows.kernel * d.columns.kernel;
      for (int u = 0; u < d.rows.kernel; ++u) {
        const int row = d.rows.Output(r, u);
        if (row < 0) continue;
        for (int v = 0; v < d.columns.kernel; ++v) {
          const int column = d.columns.Output(c, v);
          if (column < 0) continue;
          sum += kernel[u * d.columns.kernel + v] * gradient[row * d.columns.out + column];
        }
      }
    }
    dx[i] = sum;
  }
};

// A block per weight.
template <typename Dtype>
struct DepthwiseBackwardWeights {
  Depthwise d;
  const Dtype *x, *dy;
  Dtype* dweights;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int v = block.index() % d.columns.kernel;
    const int u = block.index() / d.columns.kernel % d.rows.kernel;
    const int channel = block.index() / d.columns.kernel / d.rows.kernel;
    const int area = d.rows.out * d.columns.out, outputs = d.OutputsOfOne();
    const Dtype sum = block.Sum<Dtype>(d.num * area, [&](int i) {
      const int image = i / area, at = i % area;
      const int r = d.rows.Pixel(at / d.columns.out, u);
      const int c = d.columns.Pixel(at % d.columns.out, v);
      if (r < 0 || c < 0) return Dtype(0);
      return dy[d.OutPlane(image, channel) + at] *
             x[d.InPlane(image, channel / outputs) + r * d.columns.in + c];
    });
    block.Run(1, [&](int) { dweights[block.index()] += sum; });
  }
};

template <typename Dtype>
class ByDepthwise : public GpuConvolution<Dtype> {
 public:
  explicit ByDepthwise(const ConvGeometry& geometry)
      : GpuConvolution<Dtype>(geometry), d_(geometry) {}

  void Forward(const Dtype* x, const Dtype* weights, const Dtype* bias, Dtype* y) override {
    const int count = d_.num * d_.out_channels * d_.rows.out * d_.columns.out;
    ForEachIndex(count, DepthwiseForward<Dtype>{d_, x, weights, bias, y});
  }
  void BackwardData(const Dtype* dy, const Dtype* weights, Dtype* dx) override {
    const int count = d_.num * d_.in_channels * d_.rows.in * d_.columns.in;
    ForEachIndex(count, DepthwiseBackwardData<Dtype>{d_, dy, weights, dx});
  }
  void BackwardWeights(const Dtype* x, const Dtype* dy, Dtype* dweights) override {
    ForEachBlock(d_.out_channels * d_.rows.kernel * d_.columns.kernel, 256, 0,
                 DepthwiseBackwardWeights<Dtype>{d_, x, dy, dweights});
  }

 private:
  const Depthwise d_;
};

// dweights[i] += sum over the images of parts[image][i]
template <typename Dtype>
struct AddParts {
  int images, size;
  const Dtype* parts;
  Dtype* dweights;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    Dtype sum = 0;
    for (int n = 0; n < images; ++n) sum += parts[size_t(n) * size + i];
    dweights[i] += sum;
  }
};

// The convolution of each image and group as a product of the weights, m x k, and the columns,
// k x area; of as many images at once as the workspace holds.
template <typename Dtype>
class ByProducts : public GpuConvolution<Dtype> {
 public:
  explicit ByProducts(const ConvGeometry& geometry)
      : GpuConvolution<Dtype>(geometry),
        g_(this->geometry()),
        area_(g_.out_h * g_.out_w),
        m_(g_.out_channels / g_.group),
        k_(g_.in_channels / g_.group * g_.kernel_h * g_.kernel_w),
        image_(size_t(g_.in_channels) * g_.in_h * g_.in_w),
        output_(size_t(g_.out_channels) * area_),
        weights_(size_t(g_.group) * m_ * k_),
        is_plain_(g_.kernel_h == 1 && g_.kernel_w == 1 && g_.stride_h == 1 && g_.stride_w == 1 &&
                  g_.pad_h == 0 && g_.pad_w == 0),
        columns_(is_plain_ ? image_ : size_t(g_.group) * k_ * area_) {
    ENFORCE(columns_ <= INT_MAX) << "the columns of one image are " << columns_
                                 << " values: more than " << INT_MAX << " cannot be computed";
  }

  void Forward(const Dtype* x, const Dtype* weights, const Dtype* bias, Dtype* y) override {
    if (bias) FillWithBias(g_.num, g_.out_channels, area_, bias, y);
    InParts(is_plain_ ? 0 : columns_, [&](int first, int images, Dtype* space) {
      const Dtype* columns = Columns(x + first * image_, images, space);
      for (int j = 0; j < g_.group; ++j) {
        GpuGemmBatched(CblasNoTrans, CblasNoTrans, m_, area_, k_, Dtype(1), weights + Weights(j), 0,
                       columns + Part(j), columns_, Dtype(bias ? 1 : 0),
                       y + first * output_ + Outputs(j), output_, images);
      }
    });
  }

  // Each image has a gradient of its own at first, as the products of a batch cannot add to one
  // matrix.
  void BackwardWeights(const Dtype* x, const Dtype* dy, Dtype* dweights) override {
    InParts(weights_ + (is_plain_ ? 0 : columns_), [&](int first, int images, Dtype* space) {
      Dtype* parts = space;
      const Dtype* columns = Columns(x + first * image_, images, space + images * weights_);
      for (int j = 0; j < g_.group; ++j) {
        GpuGemmBatched(CblasNoTrans, CblasTrans, m_, k_, area_, Dtype(1),
                       dy + first * output_ + Outputs(j), output_, columns + Part(j), columns_,
                       Dtype(0), parts + Weights(j), weights_, images);
      }
      ForEachIndex(static_cast<int>(weights_),
                   AddParts<Dtype>{images, static_cast<int>(weights_), parts, dweights});
    });
  }

  void BackwardData(const Dtype* dy, const Dtype* weights, Dtype* dx) override {
    InParts(is_plain_ ? 0 : columns_, [&](int first, int images, Dtype* space) {
      Dtype* columns = is_plain_ ? dx + first * image_ : space;
      for (int j = 0; j < g_.group; ++j) {
        GpuGemmBatched(CblasTrans, CblasNoTrans, k_, area_, m_, Dtype(1), weights + Weights(j), 0,
                       dy + first * output_ + Outputs(j), output_, Dtype(0), columns + Part(j),
                       columns_, images);
      }
      if (is_plain_) return;
      // Images one after another are as good as more channels.
      col2im_gpu(columns, images * g_.in_channels, g_.in_h, g_.in_w, g_.kernel_h, g_.kernel_w,
                 g_.pad_h, g_.pad_w, g_.stride_h, g_.stride_w, g_.dilation_h, g_.dilation_w,
                 dx + first * image_);
    });
  }

 private:
  // Where group j begins.
  size_t Weights(int j) const { return size_t(j) * m_ * k_; }
  size_t Part(int j) const { return size_t(j) * k_ * area_; }
  size_t Outputs(int j) const { return size_t(j) * m_ * area_; }

  /// work(first image, images, workspace of `each` values per image) until all images are done.
  template <class Work>
  void InParts(size_t each, const Work& work) {
    const size_t most = each > 0 ? WorkspaceBytes() / sizeof(Dtype) / each : g_.num;
    const int at_once = most < 1 ? 1 : most < size_t(g_.num) ? static_cast<int>(most) : g_.num;
    DeviceWorkspace workspace;
    Dtype* space = each > 0 ? workspace.Get<Dtype>(at_once * each) : nullptr;
    for (int first = 0; first < g_.num; first += at_once) {
      work(first, g_.num - first < at_once ? g_.num - first : at_once, space);
    }
  }

  const Dtype* Columns(const Dtype* image, int images, Dtype* space) {
    if (is_plain_) return image;
    im2col_gpu(image, images * g_.in_channels, g_.in_h, g_.in_w, g_.kernel_h, g_.kernel_w, g_.pad_h,
               g_.pad_w, g_.stride_h, g_.stride_w, g_.dilation_h, g_.dilation_w, space);
    return space;
  }

  // Little on the emulated device, so that tests have several parts.
  static size_t WorkspaceBytes() {
    return Device::Get().IsEmulated() ? size_t{32} << 10 : size_t{64} << 20;
  }

  const ConvGeometry& g_;
  const int area_, m_, k_;
  const size_t image_, output_, weights_;  // elements
  const bool is_plain_;                    // the columns are the image
  const size_t columns_;                   // elements of one image's
};

std::unique_ptr<GpuConvolution<float>> FastForFloat(const ConvGeometry& geometry, float) {
  return TensorCoreConvolution(geometry);
}
std::unique_ptr<GpuConvolution<double>> FastForFloat(const ConvGeometry&, double) {
  return nullptr;
}

}  // namespace

// Chosen anew when the sizes change.
template <typename Dtype>
GpuConvolution<Dtype>& ConvolutionLayer<Dtype>::OnGpu() {
  if (on_gpu_ && on_gpu_->geometry() == geometry_) return *on_gpu_;
  const auto engine = this->layer_param_.convolution_param().engine();
  const bool fast = engine == ConvolutionParameter::DEFAULT && std::is_same<Dtype, float>::value;
  std::string why_not;
  on_gpu_.reset();
  if (engine == ConvolutionParameter::CUDNN) {
    on_gpu_ = CudnnConvolution<Dtype>(geometry_, true, &why_not);
    ENFORCE(on_gpu_) << "engine is CUDNN: " << why_not;
  } else if (fast) {
    on_gpu_ = FastForFloat(geometry_, Dtype());
  }
  if (!on_gpu_ && Depthwise::Suits(geometry_)) on_gpu_.reset(new ByDepthwise<Dtype>(geometry_));
  if (!on_gpu_ && fast && geometry_.num > 0) {
    on_gpu_ = CudnnConvolution<Dtype>(geometry_, false, &why_not);
    LOG_IF(INFO, !on_gpu_ && !Device::Get().IsEmulated())
        << "layer '" << this->layer_param_.name() << "' computes without cuDNN: " << why_not;
  }
  if (!on_gpu_) on_gpu_.reset(new ByProducts<Dtype>(geometry_));
  return *on_gpu_;
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  const Dtype* weights = this->blobs_[0]->gpu_data();
  const Dtype* bias = geometry_.bias ? this->blobs_[1]->gpu_data() : nullptr;
  for (size_t i = 0; i < bottom.size(); ++i) {
    const Dtype* x = bottom[i]->gpu_data();
    OnGpu().Forward(x, weights, bias, top[i]->overwrite_gpu_data());
  }
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                           const vector<bool>& propagate_down,
                                           const vector<Blob<Dtype>*>& bottom) {
  const ConvGeometry& g = geometry_;
  for (size_t i = 0; i < top.size(); ++i) {
    const Dtype* dy = top[i]->gpu_diff();
    if (g.bias && this->param_propagate_down(1)) {
      AddBiasGradient(g.num, g.out_channels, g.out_h * g.out_w, dy,
                      this->blobs_[1]->mutable_gpu_diff());
    }
    if (this->param_propagate_down(0)) {
      OnGpu().BackwardWeights(bottom[i]->gpu_data(), dy, this->blobs_[0]->mutable_gpu_diff());
    }
    if (!propagate_down[i]) continue;
    const Dtype* weights = this->blobs_[0]->gpu_data();
    OnGpu().BackwardData(dy, weights, bottom[i]->overwrite_gpu_diff());
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(ConvolutionLayer);

}  // namespace caffe

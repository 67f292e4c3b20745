#include "caffe/layers/conv_layer.hpp"
#include "caffe/util/bias_kernels.hpp"
#include "caffe/util/convolution_axis.hpp"
#include "caffe/util/im2col.hpp"
#include "caffe/util/math_functions.hpp"

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

// The convolution of each image and group as a product of the weights, m x k, and the columns,
// k x area.
template <typename Dtype>
class Products {
 public:
  Products(const ConvGeometry& geometry, Blob<Dtype>* columns)
      : g_(geometry),
        columns_(columns),
        area_(g_.out_h * g_.out_w),
        m_(g_.out_channels / g_.group),
        k_(g_.in_channels / g_.group * g_.kernel_h * g_.kernel_w),
        image_(size_t(g_.in_channels) * g_.in_h * g_.in_w),
        output_(size_t(g_.out_channels) * area_),
        is_plain_(g_.kernel_h == 1 && g_.kernel_w == 1 && g_.stride_h == 1 && g_.stride_w == 1 &&
                  g_.pad_h == 0 && g_.pad_w == 0) {
    if (!is_plain_) columns_->Reshape({g_.in_channels * g_.kernel_h * g_.kernel_w, area_});
  }

  void Forward(const Dtype* x, const Dtype* weights, const Dtype* bias, Dtype* y) {
    if (bias) FillWithBias(g_.num, g_.out_channels, area_, bias, y);
    for (int n = 0; n < g_.num; ++n) {
      const Dtype* columns = Columns(x + n * image_);
      for (int j = 0; j < g_.group; ++j) {
        caffe_gpu_gemm(CblasNoTrans, CblasNoTrans, m_, area_, k_, Dtype(1), weights + Weights(j),
                       columns + Part(j), Dtype(bias ? 1 : 0), y + n * output_ + Outputs(j));
      }
    }
  }

  void BackwardWeights(const Dtype* x, const Dtype* dy, Dtype* dweights) {
    for (int n = 0; n < g_.num; ++n) {
      const Dtype* columns = Columns(x + n * image_);
      for (int j = 0; j < g_.group; ++j) {
        caffe_gpu_gemm(CblasNoTrans, CblasTrans, m_, k_, area_, Dtype(1),
                       dy + n * output_ + Outputs(j), columns + Part(j), Dtype(1),
                       dweights + Weights(j));
      }
    }
  }

  void BackwardData(const Dtype* dy, const Dtype* weights, Dtype* dx) {
    for (int n = 0; n < g_.num; ++n) {
      Dtype* image = dx + n * image_;
      Dtype* columns = is_plain_ ? image : columns_->overwrite_gpu_data();
      for (int j = 0; j < g_.group; ++j) {
        caffe_gpu_gemm(CblasTrans, CblasNoTrans, k_, area_, m_, Dtype(1), weights + Weights(j),
                       dy + n * output_ + Outputs(j), Dtype(0), columns + Part(j));
      }
      if (is_plain_) continue;
      col2im_gpu(columns, g_.in_channels, g_.in_h, g_.in_w, g_.kernel_h, g_.kernel_w, g_.pad_h,
                 g_.pad_w, g_.stride_h, g_.stride_w, g_.dilation_h, g_.dilation_w, image);
    }
  }

 private:
  // Where group j begins.
  size_t Weights(int j) const { return size_t(j) * m_ * k_; }
  size_t Part(int j) const { return size_t(j) * k_ * area_; }
  size_t Outputs(int j) const { return size_t(j) * m_ * area_; }

  const Dtype* Columns(const Dtype* image) {
    if (is_plain_) return image;
    Dtype* columns = columns_->overwrite_gpu_data();
    im2col_gpu(image, g_.in_channels, g_.in_h, g_.in_w, g_.kernel_h, g_.kernel_w, g_.pad_h,
               g_.pad_w, g_.stride_h, g_.stride_w, g_.dilation_h, g_.dilation_w, columns);
    return columns;
  }

  const ConvGeometry& g_;
  Blob<Dtype>* columns_;
  const int area_, m_, k_;
  const size_t image_, output_;  // elements of one
  const bool is_plain_;          // the columns are the image
};

}  // namespace

template <typename Dtype>
void ConvolutionLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  const Dtype* weights = this->blobs_[0]->gpu_data();
  const Dtype* bias = geometry_.bias ? this->blobs_[1]->gpu_data() : nullptr;
  for (size_t i = 0; i < bottom.size(); ++i) {
    const Dtype* x = bottom[i]->gpu_data();
    Dtype* y = top[i]->overwrite_gpu_data();
    if (Depthwise::Suits(geometry_)) {
      ForEachIndex(top[i]->count(),
                   DepthwiseForward<Dtype>{Depthwise(geometry_), x, weights, bias, y});
    } else {
      Products<Dtype>(geometry_, &columns_).Forward(x, weights, bias, y);
    }
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
      const Dtype* x = bottom[i]->gpu_data();
      Dtype* dweights = this->blobs_[0]->mutable_gpu_diff();
      if (Depthwise::Suits(g)) {
        ForEachBlock(this->blobs_[0]->count(), 256, 0,
                     DepthwiseBackwardWeights<Dtype>{Depthwise(g), x, dy, dweights});
      } else {
        Products<Dtype>(g, &columns_).BackwardWeights(x, dy, dweights);
      }
    }
    if (!propagate_down[i]) continue;
    const Dtype* weights = this->blobs_[0]->gpu_data();
    Dtype* dx = bottom[i]->overwrite_gpu_diff();
    if (Depthwise::Suits(g)) {
      ForEachIndex(bottom[i]->count(), DepthwiseBackwardData<Dtype>{Depthwise(g), dy, weights, dx});
    } else {
      Products<Dtype>(g, &columns_).BackwardData(dy, weights, dx);
    }
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(ConvolutionLayer);

}  // namespace caffe

#include "caffe/layers/conv_layer.hpp"

#include <type_traits>

#include "caffe/filler.hpp"
#include "caffe/util/im2col.hpp"

namespace caffe {

namespace {

// Height and width of a setting that prototxt gives as name_h and name_w, or once, or twice.
template <class Repeated>
void ReadPair(const char* name, const Repeated& both, bool has_h, int h, bool has_w, int w,
              int missing, int* out_h, int* out_w) {
  if (has_h || has_w) {
    ENFORCE(both.size() == 0) << name << " is given together with its _h or _w field";
    *out_h = has_h ? h : missing;
    *out_w = has_w ? w : missing;
    return;
  }
  ENFORCE(both.size() <= 2) << name << " is given " << both.size()
                            << " times; a 2-D convolution takes one or two";
  *out_h = both.size() > 0 ? static_cast<int>(both.Get(0)) : missing;
  *out_w = both.size() > 1 ? static_cast<int>(both.Get(1)) : *out_h;
}

int OutputExtent(const char* axis, int in, int kernel, int pad, int stride, int dilation) {
  const int64_t reach = int64_t{dilation} * (kernel - 1) + 1, padded = in + int64_t{2} * pad;
  ENFORCE(padded >= reach) << "kernel of " << axis << " " << reach
                           << " exceeds the padded input of " << axis << " " << padded;
  const int64_t out = (padded - reach) / stride + 1;
  ENFORCE(out <= INT_MAX) << "pad " << pad << " gives an output of " << axis << " " << out;
  return static_cast<int>(out);
}

}  // namespace

template <typename Dtype>
void ConvolutionLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                         const vector<Blob<Dtype>*>&) {
  const ConvolutionParameter& param = this->layer_param_.convolution_param();
  ConvGeometry& g = geometry_;
  ENFORCE(bottom[0]->num_axes() == 4 && (param.axis() == 1 || param.axis() == -3))
      << "a 2-D convolution takes N x C x H x W with axis 1; the bottom has shape "
      << bottom[0]->shape_string() << ", axis is " << param.axis();
  ReadPair("kernel_size", param.kernel_size(), param.has_kernel_h(), param.kernel_h(),
           param.has_kernel_w(), param.kernel_w(), 0, &g.kernel_h, &g.kernel_w);
  ReadPair("pad", param.pad(), param.has_pad_h(), param.pad_h(), param.has_pad_w(), param.pad_w(),
           0, &g.pad_h, &g.pad_w);
  ReadPair("stride", param.stride(), param.has_stride_h(), param.stride_h(), param.has_stride_w(),
           param.stride_w(), 1, &g.stride_h, &g.stride_w);
  ReadPair("dilation", param.dilation(), false, 1, false, 1, 1, &g.dilation_h, &g.dilation_w);
  ENFORCE(g.kernel_h > 0 && g.kernel_w > 0) << "kernel_size is not given or 0";
  ENFORCE(g.stride_h > 0 && g.stride_w > 0) << "stride is 0";
  ENFORCE(g.dilation_h > 0 && g.dilation_w > 0) << "dilation is 0";

  g.in_channels = bottom[0]->channels();
  g.out_channels = static_cast<int>(param.num_output());
  g.group = static_cast<int>(param.group());
  g.bias = param.bias_term();
  ENFORCE(g.out_channels > 0) << "num_output is not given or 0";
  ENFORCE(g.group > 0 && g.in_channels % g.group == 0 && g.out_channels % g.group == 0)
      << "group " << g.group << " does not divide " << g.in_channels << " input and "
      << g.out_channels << " output channels";

  const vector<int> weight_shape = {g.out_channels, g.in_channels / g.group, g.kernel_h,
                                    g.kernel_w};
  auto& blobs = this->blobs_;
  if (!blobs.empty()) {
    ENFORCE(blobs.size() == (g.bias ? 2u : 1u))
        << blobs.size() << " stored parameter blobs where " << (g.bias ? 2 : 1) << " are expected";
    ENFORCE(blobs[0]->shape() == weight_shape)
        << "stored weights have shape " << blobs[0]->shape_string();
    ENFORCE(!g.bias || blobs[1]->count() == g.out_channels)
        << "stored bias has shape " << blobs[1]->shape_string();
  } else {
    blobs.emplace_back(new Blob<Dtype>(weight_shape));
    shared_ptr<Filler<Dtype>>(GetFiller<Dtype>(param.weight_filler()))->Fill(blobs[0].get());
    if (g.bias) {
      blobs.emplace_back(new Blob<Dtype>(vector<int>{g.out_channels}));
      shared_ptr<Filler<Dtype>>(GetFiller<Dtype>(param.bias_filler()))->Fill(blobs[1].get());
    }
  }
  this->param_propagate_down_.resize(blobs.size(), true);
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  ConvGeometry& g = geometry_;
  this->RefuseInPlace(bottom, top);
  for (size_t i = 0; i < bottom.size(); ++i) {
    ENFORCE(bottom[i]->shape() == bottom[0]->shape())
        << "bottom " << i << " has shape " << bottom[i]->shape_string() << ", bottom 0 "
        << bottom[0]->shape_string();
  }
  ENFORCE(bottom[0]->num_axes() == 4 && bottom[0]->channels() == g.in_channels)
      << "bottom has shape " << bottom[0]->shape_string() << " where " << g.in_channels
      << " channels are expected";
  g.num = bottom[0]->num();
  g.in_h = bottom[0]->height();
  g.in_w = bottom[0]->width();
  g.out_h = OutputExtent("height", g.in_h, g.kernel_h, g.pad_h, g.stride_h, g.dilation_h);
  g.out_w = OutputExtent("width", g.in_w, g.kernel_w, g.pad_w, g.stride_w, g.dilation_w);
  for (Blob<Dtype>* blob : top) blob->Reshape(g.num, g.out_channels, g.out_h, g.out_w);
  // Making its primitives takes time, which GPU mode has no use for.
  if (std::is_same<Dtype, float>::value && Caffe::mode() == Caffe::CPU) Fast();
}

template <typename Dtype>
FloatConvolution* ConvolutionLayer<Dtype>::Fast() {
  if (!fast_ || !(fast_->geometry() == geometry_)) {
    const bool direct =
        this->layer_param_.convolution_param().engine() == ConvolutionParameter::CAFFE;
    fast_ = FloatConvolution::Create(geometry_, direct);
  }
  return fast_.get();
}

// The fast path is float's alone; the overloads keep the casts in one place.
static void RunForward(FloatConvolution* conv, const vector<shared_ptr<Blob<float>>>& params,
                       const Blob<float>& bottom, Blob<float>* top) {
  conv->Forward(bottom.cpu_data(conv->src_block()), params[0]->cpu_data(),
                params.size() > 1 ? params[1]->cpu_data() : nullptr,
                top->overwrite_cpu_data(conv->dst_block()));
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  for (size_t i = 0; i < bottom.size(); ++i) {
    if constexpr (std::is_same<Dtype, float>::value) {
      RunForward(Fast(), this->blobs_, *bottom[i], top[i]);
    } else {
      ForwardPlain(*bottom[i], top[i]);
    }
  }
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                           const vector<bool>& propagate_down,
                                           const vector<Blob<Dtype>*>& bottom) {
  for (size_t i = 0; i < top.size(); ++i) {
    if constexpr (std::is_same<Dtype, float>::value) {
      FloatConvolution* fast = Fast();
      const float* top_diff = top[i]->cpu_diff(fast->dst_block());
      const bool weights = this->param_propagate_down(0);
      const bool bias = geometry_.bias && this->param_propagate_down(1);
      if (weights || bias) {
        fast->BackwardWeights(bottom[i]->cpu_data(fast->src_block()), top_diff,
                              weights ? this->blobs_[0]->mutable_cpu_diff() : nullptr,
                              bias ? this->blobs_[1]->mutable_cpu_diff() : nullptr);
      }
      if (propagate_down[i]) {
        fast->BackwardData(top_diff, this->blobs_[0]->cpu_data(),
                           bottom[i]->overwrite_cpu_diff(fast->src_block()));
      }
    } else {
      BackwardPlain(*top[i], propagate_down[i], bottom[i]);
    }
  }
}

template <typename Dtype>
const Dtype* ConvolutionLayer<Dtype>::Columns(const Dtype* image) {
  const ConvGeometry& g = geometry_;
  columns_.Reshape({g.in_channels * g.kernel_h * g.kernel_w, g.out_h * g.out_w});
  im2col_cpu(image, g.in_channels, g.in_h, g.in_w, g.kernel_h, g.kernel_w, g.pad_h, g.pad_w,
             g.stride_h, g.stride_w, g.dilation_h, g.dilation_w, columns_.overwrite_cpu_data(1));
  return columns_.cpu_data();
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::ForwardPlain(const Blob<Dtype>& bottom, Blob<Dtype>* top) {
  const ConvGeometry& g = geometry_;
  const int m = g.out_channels / g.group, area = g.out_h * g.out_w;
  const int k = g.in_channels / g.group * g.kernel_h * g.kernel_w;
  const Dtype* weights = this->blobs_[0]->cpu_data();
  Dtype* y = top->overwrite_cpu_data(1);
  for (int n = 0; n < g.num; ++n) {
    const Dtype* columns = Columns(bottom.cpu_data() + bottom.offset(n));
    Dtype* out = y + top->offset(n);
    for (int j = 0; j < g.group; ++j) {
      caffe_cpu_gemm(CblasNoTrans, CblasNoTrans, m, area, k, Dtype(1), weights + j * m * k,
                     columns + j * k * area, Dtype(0), out + j * m * area);
    }
    for (int c = 0; g.bias && c < g.out_channels; ++c) {
      caffe_add_scalar(area, this->blobs_[1]->cpu_data()[c], out + c * area);
    }
  }
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::BackwardPlain(const Blob<Dtype>& top, bool to_bottom,
                                            Blob<Dtype>* bottom) {
  const ConvGeometry& g = geometry_;
  const int m = g.out_channels / g.group, area = g.out_h * g.out_w;
  const int k = g.in_channels / g.group * g.kernel_h * g.kernel_w;
  for (int n = 0; n < g.num; ++n) {
    const Dtype* diff = top.cpu_diff() + top.offset(n);
    if (g.bias && this->param_propagate_down(1)) {
      Dtype* bias_diff = this->blobs_[1]->mutable_cpu_diff();
      for (int c = 0; c < g.out_channels; ++c) {
        for (int i = 0; i < area; ++i) bias_diff[c] += diff[c * area + i];
      }
    }
    if (this->param_propagate_down(0)) {
      const Dtype* columns = Columns(bottom->cpu_data() + bottom->offset(n));
      Dtype* weights_diff = this->blobs_[0]->mutable_cpu_diff();
      for (int j = 0; j < g.group; ++j) {
        caffe_cpu_gemm(CblasNoTrans, CblasTrans, m, k, area, Dtype(1), diff + j * m * area,
                       columns + j * k * area, Dtype(1), weights_diff + j * m * k);
      }
    }
    if (!to_bottom) continue;
    columns_.Reshape({g.in_channels * g.kernel_h * g.kernel_w, area});
    Dtype* columns = columns_.overwrite_cpu_data(1);
    for (int j = 0; j < g.group; ++j) {
      caffe_cpu_gemm(CblasTrans, CblasNoTrans, k, area, m, Dtype(1),
                     this->blobs_[0]->cpu_data() + j * m * k, diff + j * m * area, Dtype(0),
                     columns + j * k * area);
    }
    col2im_cpu(columns, g.in_channels, g.in_h, g.in_w, g.kernel_h, g.kernel_w, g.pad_h, g.pad_w,
               g.stride_h, g.stride_w, g.dilation_h, g.dilation_w,
               bottom->mutable_cpu_diff() + bottom->offset(n));
  }
}

INSTANTIATE_CLASS(ConvolutionLayer);
REGISTER_LAYER_CLASS(Convolution);

}  // namespace caffe

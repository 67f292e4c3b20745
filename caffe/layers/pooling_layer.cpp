#include "caffe/layers/pooling_layer.hpp"

#include <algorithm>

namespace caffe {

template <typename Dtype>
void PoolingLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>&) {
  const PoolingParameter& param = this->layer_param_.pooling_param();
  ENFORCE(param.pool() != PoolingParameter_PoolMethod_STOCHASTIC)
      << "pool STOCHASTIC is not supported; MAX and AVE are";
  is_max_ = param.pool() == PoolingParameter_PoolMethod_MAX;
  ENFORCE(bottom[0]->num_axes() == 4)
      << "pooling takes N x C x H x W; the bottom has shape " << bottom[0]->shape_string();
  const bool has_kernel = param.has_kernel_size() || param.has_kernel_h() || param.has_kernel_w();
  if (param.global_pooling()) {
    ENFORCE(!has_kernel) << "global_pooling is given together with a kernel size";
    ENFORCE(param.pad() == 0 && param.pad_h() == 0 && param.pad_w() == 0 && param.stride() == 1 &&
            !param.has_stride_h() && !param.has_stride_w())
        << "global_pooling takes neither pad nor stride";
    return;
  }
  ENFORCE(has_kernel) << "kernel_size is not given";
  kernel_h_ = static_cast<int>(param.has_kernel_h() ? param.kernel_h() : param.kernel_size());
  kernel_w_ = static_cast<int>(param.has_kernel_w() ? param.kernel_w() : param.kernel_size());
  stride_h_ = static_cast<int>(param.has_stride_h() ? param.stride_h() : param.stride());
  stride_w_ = static_cast<int>(param.has_stride_w() ? param.stride_w() : param.stride());
  pad_h_ = static_cast<int>(param.has_pad_h() ? param.pad_h() : param.pad());
  pad_w_ = static_cast<int>(param.has_pad_w() ? param.pad_w() : param.pad());
  ENFORCE(kernel_h_ > 0 && kernel_w_ > 0) << "kernel size is " << kernel_h_ << "x" << kernel_w_;
  ENFORCE(stride_h_ > 0 && stride_w_ > 0) << "stride is " << stride_h_ << "x" << stride_w_;
  ENFORCE(pad_h_ < kernel_h_ && pad_w_ < kernel_w_)
      << "pad " << pad_h_ << "x" << pad_w_ << " is not smaller than the kernel " << kernel_h_ << "x"
      << kernel_w_;
}

template <typename Dtype>
void PoolingLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  const PoolingParameter& param = this->layer_param_.pooling_param();
  ENFORCE(bottom[0] != top[0]) << "cannot work in place";
  height_ = bottom[0]->height();
  width_ = bottom[0]->width();
  if (param.global_pooling()) {
    kernel_h_ = height_;
    kernel_w_ = width_;
  }
  const bool ceil = param.round_mode() == PoolingParameter_RoundMode_CEIL;
  const auto extent = [ceil](const char* axis, int in, int kernel, int pad, int stride) {
    // Rounded up, a window that exceeds the input by less than a stride is there, and is cut off.
    const int room = in + 2 * pad - kernel + (ceil ? stride - 1 : 0);
    ENFORCE(room >= 0) << "kernel of " << axis << " " << kernel << " exceeds the padded input of "
                       << axis << " " << in + 2 * pad;
    int out = room / stride + 1;
    // The last window must start inside the image or its left padding. Without padding this matters
    // where the stride exceeds the kernel: Caffe would give a window without pixels.
    if ((out - 1) * stride >= in + pad) --out;
    return out;
  };
  pooled_height_ = extent("height", height_, kernel_h_, pad_h_, stride_h_);
  pooled_width_ = extent("width", width_, kernel_w_, pad_w_, stride_w_);
  for (Blob<Dtype>* blob : top) {
    blob->Reshape(bottom[0]->num(), bottom[0]->channels(), pooled_height_, pooled_width_);
  }
}

template <typename Dtype>
typename PoolingLayer<Dtype>::Window PoolingLayer<Dtype>::At(int i, int j) const {
  const int y = i * stride_h_ - pad_h_, x = j * stride_w_ - pad_w_;
  const int y_end = std::min(y + kernel_h_, height_ + pad_h_);
  const int x_end = std::min(x + kernel_w_, width_ + pad_w_);
  return {std::max(y, 0), std::min(y_end, height_), std::max(x, 0), std::min(x_end, width_),
          (y_end - y) * (x_end - x)};
}

template <typename Dtype>
template <int kLanes>
void PoolingLayer<Dtype>::ForwardPlanes(int planes, const Dtype* x, Dtype* y) {
  const int in_area = height_ * width_, out_area = pooled_height_ * pooled_width_;
#pragma omp parallel for schedule(static)
  for (int p = 0; p < planes; ++p) {
    const Dtype* in = x + size_t(p) * in_area * kLanes;
    Dtype* out = y + size_t(p) * out_area * kLanes;
    int* arg = is_max_ ? argmax_.data() + size_t(p) * out_area * kLanes : nullptr;
    for (int o = 0; o < out_area; ++o) {
      const Window w = At(o / pooled_width_, o % pooled_width_);
      Dtype best[kLanes];
      int best_at[kLanes];
      const int first = w.y0 * width_ + w.x0;
      for (int l = 0; l < kLanes; ++l) {
        best[l] = is_max_ ? in[first * kLanes + l] : 0;
        best_at[l] = first;
      }
      for (int i = w.y0; i < w.y1; ++i) {
        for (int j = w.x0; j < w.x1; ++j) {
          const int at = i * width_ + j;
          const Dtype* pixel = in + at * kLanes;
          if (is_max_) {
            for (int l = 0; l < kLanes; ++l) {
              const bool larger = pixel[l] > best[l];
              best[l] = larger ? pixel[l] : best[l];
              best_at[l] = larger ? at : best_at[l];
            }
          } else {
            for (int l = 0; l < kLanes; ++l) best[l] += pixel[l];
          }
        }
      }
      for (int l = 0; l < kLanes; ++l) {
        out[o * kLanes + l] = is_max_ ? best[l] : best[l] / w.area;
        if (is_max_) arg[o * kLanes + l] = best_at[l];
      }
    }
  }
}

template <typename Dtype>
template <int kLanes>
void PoolingLayer<Dtype>::BackwardPlanes(int planes, const Dtype* dy, Dtype* dx) const {
  const int in_area = height_ * width_, out_area = pooled_height_ * pooled_width_;
#pragma omp parallel for schedule(static)
  for (int p = 0; p < planes; ++p) {
    Dtype* in = dx + size_t(p) * in_area * kLanes;
    const Dtype* out = dy + size_t(p) * out_area * kLanes;
    const int* arg = is_max_ ? argmax_.data() + size_t(p) * out_area * kLanes : nullptr;
    std::fill(in, in + in_area * kLanes, Dtype(0));
    for (int o = 0; o < out_area; ++o) {
      if (is_max_) {
        for (int l = 0; l < kLanes; ++l) {
          in[arg[o * kLanes + l] * kLanes + l] += out[o * kLanes + l];
        }
        continue;
      }
      const Window w = At(o / pooled_width_, o % pooled_width_);
      for (int i = w.y0; i < w.y1; ++i) {
        for (int j = w.x0; j < w.x1; ++j) {
          Dtype* pixel = in + (i * width_ + j) * kLanes;
          for (int l = 0; l < kLanes; ++l) pixel[l] += out[o * kLanes + l] / w.area;
        }
      }
    }
  }
}

template <typename Dtype>
void PoolingLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const int block = block_ = bottom[0]->data_block();
  const ChannelBlocks layout = top[0]->Blocks(block);
  const int planes = layout.num * layout.groups();
  if (is_max_) argmax_.resize(layout.count());
  const Dtype* x = bottom[0]->cpu_data(block);
  Dtype* y = top[0]->overwrite_cpu_data(block);
  if (block == 16) {
    ForwardPlanes<16>(planes, x, y);
  } else if (block == 8) {
    ForwardPlanes<8>(planes, x, y);
  } else {
    ForwardPlanes<1>(planes, x, y);
  }
  if (top.size() < 2) return;
  // The indices as a blob, channel by channel.
  Dtype* indices = top[1]->overwrite_cpu_data(1);
  for (int n = 0; n < layout.num; ++n) {
    for (int c = 0; c < layout.channels; ++c) {
      const size_t plane = size_t(n) * layout.groups() + c / block;
      for (int s = 0; s < layout.spatial; ++s) {
        *indices++ = Dtype(argmax_[(plane * layout.spatial + s) * block + c % block]);
      }
    }
  }
}

template <typename Dtype>
void PoolingLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int block = block_;
  const ChannelBlocks layout = top[0]->Blocks(block);
  const int planes = layout.num * layout.groups();
  CHECK(!is_max_ || argmax_.size() == layout.count()) << "Backward without its Forward";
  const Dtype* dy = top[0]->cpu_diff(block);
  Dtype* dx = bottom[0]->overwrite_cpu_diff(block);
  if (block == 16) {
    BackwardPlanes<16>(planes, dy, dx);
  } else if (block == 8) {
    BackwardPlanes<8>(planes, dy, dx);
  } else {
    BackwardPlanes<1>(planes, dy, dx);
  }
}

INSTANTIATE_CLASS(PoolingLayer);
REGISTER_LAYER_CLASS(Pooling);

}  // namespace caffe

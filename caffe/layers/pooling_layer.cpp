#include "caffe/layers/pooling_layer.hpp"

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
  const auto one_form = [](const char* name, bool both, bool height, bool width) {
    ENFORCE(height == width && !(both && height))
        << "give " << name << ", or " << name << "_h and " << name << "_w";
  };
  ENFORCE(param.has_kernel_h() == param.has_kernel_w() &&
          !(param.has_kernel_size() && param.has_kernel_h()))
      << "give kernel_size, or kernel_h and kernel_w";
  one_form("pad", param.has_pad(), param.has_pad_h(), param.has_pad_w());
  one_form("stride", param.has_stride(), param.has_stride_h(), param.has_stride_w());
  const auto set = [](PoolingAxis* axis, uint32_t kernel, uint32_t stride, uint32_t pad) {
    axis->kernel = static_cast<int>(kernel);
    axis->stride = static_cast<int>(stride);
    axis->pad = static_cast<int>(pad);
  };
  set(&rows_, param.has_kernel_h() ? param.kernel_h() : param.kernel_size(),
      param.has_stride_h() ? param.stride_h() : param.stride(),
      param.has_pad_h() ? param.pad_h() : param.pad());
  set(&columns_, param.has_kernel_w() ? param.kernel_w() : param.kernel_size(),
      param.has_stride_w() ? param.stride_w() : param.stride(),
      param.has_pad_w() ? param.pad_w() : param.pad());
  ENFORCE(rows_.kernel > 0 && columns_.kernel > 0)
      << "kernel size is " << rows_.kernel << "x" << columns_.kernel;
  ENFORCE(rows_.stride > 0 && columns_.stride > 0)
      << "stride is " << rows_.stride << "x" << columns_.stride;
  ENFORCE(rows_.pad < rows_.kernel && columns_.pad < columns_.kernel)
      << "pad " << rows_.pad << "x" << columns_.pad << " is not smaller than the kernel "
      << rows_.kernel << "x" << columns_.kernel;
}

template <typename Dtype>
void PoolingLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  const PoolingParameter& param = this->layer_param_.pooling_param();
  this->RefuseInPlace(bottom, top);
  rows_.pixels = bottom[0]->height();
  columns_.pixels = bottom[0]->width();
  if (param.global_pooling()) {
    rows_.kernel = rows_.pixels;
    columns_.kernel = columns_.pixels;
  }
  const bool ceil = param.round_mode() == PoolingParameter_RoundMode_CEIL;
  const auto count_windows = [ceil](const char* name, PoolingAxis* axis) {
    // Rounded up, a window that exceeds the input by less than a stride is there, and is cut off.
    const int64_t padded = axis->pixels + int64_t{2} * axis->pad;
    const int64_t room = padded - axis->kernel + (ceil ? axis->stride - 1 : 0);
    ENFORCE(room >= 0) << "kernel of " << name << " " << axis->kernel
                       << " exceeds the padded input of " << name << " " << padded;
    axis->windows = static_cast<int>(room / axis->stride + 1);
    // The last window must start inside the image or its left padding. Without padding this matters
    // where the stride exceeds the kernel: Caffe would give a window without pixels.
    if (int64_t{axis->windows - 1} * axis->stride >= axis->pixels + axis->pad) --axis->windows;
  };
  count_windows("height", &rows_);
  count_windows("width", &columns_);
  for (Blob<Dtype>* blob : top) {
    blob->Reshape(bottom[0]->num(), bottom[0]->channels(), rows_.windows, columns_.windows);
  }
}

template <typename Dtype>
void PoolingLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const int block = block_ = bottom[0]->data_block();
  const ChannelBlocks layout = top[0]->Blocks(block);
  const int planes = layout.num * layout.groups();
  const Dtype* x = bottom[0]->cpu_data(block);
  Dtype* y = top[0]->overwrite_cpu_data(block);
  if (!is_max_) {
    AveragePoolingForward(rows_, columns_, planes, block, x, y);
    return;
  }
  argmax_.resize(layout.count());
  MaxPoolingForward(rows_, columns_, planes, block, x, y, argmax_.data());
  if (top.size() < 2) return;
  // The maxima's indices in the plane as a blob, channel by channel.
  Dtype* indices = top[1]->overwrite_cpu_data(1);
  for (int n = 0; n < layout.num; ++n) {
    for (int c = 0; c < layout.channels; ++c) {
      const size_t plane = size_t(n) * layout.groups() + c / block;
      for (int s = 0; s < layout.spatial; ++s) {
        const PoolingAxis::Window high = rows_.At(s / columns_.windows);
        const PoolingAxis::Window wide = columns_.At(s % columns_.windows);
        const int number = argmax_[(plane * layout.spatial + s) * block + c % block];
        const int width = wide.end - wide.begin;
        *indices++ =
            Dtype((high.begin + number / width) * columns_.pixels + wide.begin + number % width);
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
  if (is_max_) {
    MaxPoolingBackward(rows_, columns_, planes, block, dy, argmax_.data(), dx);
  } else {
    AveragePoolingBackward(rows_, columns_, planes, block, dy, dx);
  }
}

INSTANTIATE_CLASS(PoolingLayer);
REGISTER_LAYER_CLASS(Pooling);

}  // namespace caffe

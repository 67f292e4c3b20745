#include "layers/stochastic_depth_layer.hpp"

#include <algorithm>

#include "layers/layer_param.hpp"
#include "util/philox.hpp"

namespace caffe {

template <typename Dtype>
void StochasticDepthLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&,
                                             const vector<Blob<Dtype>*>&) {
  metaperturb::InLayer(*this, [&] {
    param_ = metaperturb::LayerParam<StochasticDepthParameter>(this->layer_param_);
    const float p = param_.survival_prob();
    ENFORCE(p > 0 && p <= 1) << "survival_prob is " << p << "; it must lie in (0, 1]";
  });
}

template <typename Dtype>
void StochasticDepthLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  metaperturb::InLayer(*this, [&] {
    ENFORCE(bottom[0]->num_axes() > 0) << "the bottom has no axis of images";
    top[0]->ReshapeLike(*bottom[0]);
  });
}

// `to` may be `from`.
template <typename Dtype>
void StochasticDepthLayer<Dtype>::Multiply(const ChannelBlocks& layout, const Dtype* from,
                                           Dtype* to) const {
  const size_t size = layout.num == 0 ? 0 : layout.count() / layout.num;
#pragma omp parallel for schedule(static)
  for (int n = 0; n < layout.num; ++n) {
    const Dtype* x = from + n * size;
    Dtype* y = to + n * size;
    const Dtype factor = factors_[n];
    if (factor == 0) {
      std::fill(y, y + size, Dtype(0));
    } else if (factor != 1) {
      for (size_t i = 0; i < size; ++i) y[i] = factor * x[i];
    } else if (x != y) {
      std::copy(x, x + size, y);
    }
  }
}

template <typename Dtype>
void StochasticDepthLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                              const vector<Blob<Dtype>*>& top) {
  this->BeginPass();
  const int num = bottom[0]->shape(0);
  const double p = param_.survival_prob();
  factors_.assign(num, static_cast<Dtype>(p));
  const uint64_t pass = this->noise_pass();
  for (int n = 0; this->phase_ == TRAIN && n < num; ++n) {
    if (n > 0 && !param_.per_image()) {
      factors_[n] = factors_[0];
      continue;
    }
    const Philox bits = Philox::At(this->noise_key(), n, 0, static_cast<uint32_t>(pass),
                                   static_cast<uint32_t>(pass >> 32));
    factors_[n] = bits.v[0] < p * 4294967296.0 ? 1 : 0;
  }
  const int block = metaperturb::DataBlock(*bottom[0]);
  const Dtype* x = x_in_.Data(*bottom[0], block);
  Multiply(metaperturb::LayoutOf(*bottom[0], block), x, y_out_.Data(top[0], block));
  y_out_.Done();
}

template <typename Dtype>
void StochasticDepthLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                               const vector<bool>& propagate_down,
                                               const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int block = metaperturb::DiffBlock(*top[0]);
  const Dtype* dy = dy_in_.Diff(*top[0], block);
  Multiply(metaperturb::LayoutOf(*top[0], block), dy, dx_out_.Diff(bottom[0], block));
  dx_out_.Done();
}

INSTANTIATE_CLASS(StochasticDepthLayer);
REGISTER_LAYER_CLASS(StochasticDepth);

}  // namespace caffe

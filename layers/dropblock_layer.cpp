#include "layers/dropblock_layer.hpp"

#include <algorithm>
#include <cmath>

#include "layers/layer_param.hpp"
#include "util/philox.hpp"

namespace caffe {

template <typename Dtype>
void DropBlockLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) {
  metaperturb::InLayer(*this, [&] {
    param_ = metaperturb::LayerParam<DropBlockParameter>(this->layer_param_);
    const float drop = param_.drop_prob();
    ENFORCE(drop >= 0 && drop < 1) << "drop_prob is " << drop << "; it must lie in [0, 1)";
    ENFORCE(param_.block_size() > 0) << "block_size is 0; it must be positive";
    auto& blobs = this->blobs_;
    if (blobs.empty()) {
      blobs.emplace_back(new Blob<Dtype>(vector<int>{1}));
      blobs[0]->mutable_cpu_data()[0] = 0;
    }
    ENFORCE(blobs.size() == 1 && blobs[0]->count() == 1)
        << "the stored parameters are not the one count of passes";
    LayerParameter& layer = this->layer_param_;
    ParamSpec* spec = layer.param_size() > 0 ? layer.mutable_param(0) : layer.add_param();
    spec->set_lr_mult(0);
    spec->set_decay_mult(0);
  });
}

template <typename Dtype>
void DropBlockLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  metaperturb::InLayer(*this, [&] {
    ENFORCE(bottom[0]->num_axes() == 4)
        << "takes N x C x H x W; the bottom has shape " << bottom[0]->shape_string();
    top[0]->ReshapeLike(*bottom[0]);
  });
}

template <typename Dtype>
double DropBlockLayer<Dtype>::DropProbability() const {
  if (param_.anneal_iter() == 0) return param_.drop_prob();
  const double passes = this->blobs_[0]->cpu_data()[0];
  return param_.drop_prob() * std::min(1.0, passes / param_.anneal_iter());
}

template <typename Dtype>
typename DropBlockLayer<Dtype>::Squares DropBlockLayer<Dtype>::SquaresIn(
    const Blob<Dtype>& x) const {
  Squares squares = {0, 0, 0, 0};
  if (x.count() == 0) return squares;
  squares.size = std::min({int64_t(param_.block_size()), int64_t(x.height()), int64_t(x.width())});
  squares.rows = x.height() - squares.size + 1;
  squares.columns = x.width() - squares.size + 1;
  const double area = double(x.height()) * x.width();
  squares.gamma = DropProbability() / squares.size / squares.size * area / squares.places();
  return squares;
}

// Clears the dropped squares of one channel in the mask; returns how many elements it cleared.
template <typename Dtype>
int DropBlockLayer<Dtype>::DropInChannel(const Squares& squares, int image, int channel) {
  const int size = squares.size, columns = squares.columns, width = columns + size - 1;
  const int block = layout_.block;
  unsigned char* mask =
      &mask_[(size_t(image) * layout_.groups() + channel / block) * layout_.spatial * block +
             channel % block];
  const uint64_t pass = this->noise_pass();
  const uint32_t row = image * layout_.channels + channel;
  int cleared = 0;
  // From one dropped square to the next: the number of kept ones between them is geometric.
  const double log_kept = std::log1p(-squares.gamma);
  double place = -1;
  for (uint32_t draw = 0;; ++draw) {
    const Philox bits = Philox::At(this->noise_key(), draw, row, static_cast<uint32_t>(pass),
                                   static_cast<uint32_t>(pass >> 32));
    for (const uint32_t bit : bits.v) {
      place += 1 + std::floor(std::log((bit + 0.5) / 4294967296.0) / log_kept);
      if (!(place < squares.places())) return cleared;
      const int top = static_cast<int>(place) / columns, left = static_cast<int>(place) % columns;
      for (int h = top; h < top + size; ++h) {
        for (int w = left; w < left + size; ++w) {
          unsigned char& kept = mask[size_t(h * width + w) * block];
          cleared += kept;
          kept = 0;
        }
      }
    }
  }
}

template <typename Dtype>
void DropBlockLayer<Dtype>::DrawMask(const Blob<Dtype>& x) {
  mask_.assign(layout_.count(), 1);
  scale_ = 1;
  const Squares squares = SquaresIn(x);
  if (squares.gamma <= 0) return;
  int64_t dropped = 0;
#pragma omp parallel for schedule(static) reduction(+ : dropped)
  for (int n = 0; n < layout_.num; ++n) {
    for (int c = 0; c < layout_.channels; ++c) {
      dropped += DropInChannel(squares, n, c);
    }
  }
  const double count = x.count(), ones = count - static_cast<double>(dropped);
  scale_ = ones > 0 ? static_cast<Dtype>(count / ones) : Dtype(0);
}

// `to` may be `from`.
template <typename Dtype>
void DropBlockLayer<Dtype>::Apply(const Dtype* from, Dtype* to) const {
  const size_t count = layout_.count();
  if (this->phase_ == TEST) {
    if (from != to) std::copy(from, from + count, to);
    return;
  }
  const unsigned char* mask = mask_.data();
  const Dtype scale = scale_;
#pragma omp parallel for simd schedule(static)
  for (size_t i = 0; i < count; ++i) to[i] = mask[i] ? from[i] * scale : Dtype(0);
}

template <typename Dtype>
void DropBlockLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  this->BeginPass();
  layout_ = metaperturb::LayoutOf(*bottom[0], metaperturb::DataBlock(*bottom[0]));
  if (this->phase_ == TRAIN) {
    DrawMask(*bottom[0]);
    this->blobs_[0]->mutable_cpu_data()[0] += 1;
  }
  const Dtype* x = x_in_.Data(*bottom[0], layout_.block);
  Apply(x, y_out_.Data(top[0], layout_.block));
  y_out_.Done();
}

template <typename Dtype>
void DropBlockLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype* dy = dy_in_.Diff(*top[0], layout_.block);
  Apply(dy, dx_out_.Diff(bottom[0], layout_.block));
  dx_out_.Done();
}

INSTANTIATE_CLASS(DropBlockLayer);
REGISTER_LAYER_CLASS(DropBlock);

}  // namespace caffe

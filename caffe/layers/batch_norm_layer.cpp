#include "caffe/layers/batch_norm_layer.hpp"

#include <algorithm>
#include <cmath>

#include "caffe/util/channel_loops.hpp"

namespace caffe {

template <typename Dtype>
void BatchNormLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>&) {
  const BatchNormParameter& param = this->layer_param_.batch_norm_param();
  ENFORCE(param.eps() > 0) << "batch_norm_param.eps is " << param.eps();
  ENFORCE(param.moving_average_fraction() >= 0 && param.moving_average_fraction() <= 1)
      << "moving_average_fraction is " << param.moving_average_fraction();
  use_global_stats_ =
      param.has_use_global_stats() ? param.use_global_stats() : this->phase_ == TEST;
  channels_ = bottom[0]->num_axes() == 1 ? 1 : bottom[0]->shape(1);
  auto& blobs = this->blobs_;
  if (blobs.empty()) {
    for (int size : {channels_, channels_, 1}) {
      blobs.emplace_back(new Blob<Dtype>(vector<int>{size}));
      caffe_set(size, Dtype(0), blobs.back()->mutable_cpu_data());
    }
  }
  ENFORCE(blobs.size() == 3 && blobs[0]->count() == channels_ && blobs[1]->count() == channels_)
      << "stored statistics do not fit " << channels_ << " channels";
  for (int i = 0; i < 3; ++i) {
    ParamSpec* spec = i < this->layer_param_.param_size() ? this->layer_param_.mutable_param(i)
                                                          : this->layer_param_.add_param();
    ENFORCE(!spec->has_lr_mult() || spec->lr_mult() == 0)
        << "param " << i << " has lr_mult " << spec->lr_mult() << "; statistics are not learned";
    spec->set_lr_mult(0);
    spec->set_decay_mult(0);
  }
}

template <typename Dtype>
void BatchNormLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  ENFORCE(bottom[0]->num_axes() == 1 || bottom[0]->shape(1) == channels_)
      << "the bottom has shape " << bottom[0]->shape_string() << " where " << channels_
      << " channels are expected";
  top[0]->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
void BatchNormLayer<Dtype>::ComputeStatistics(const ChannelBlocks& layout, const Dtype* x) {
  const BatchNormParameter& param = this->layer_param_.batch_norm_param();
  const int lanes = layout.groups() * layout.block;
  mean_.assign(lanes, Dtype(0));
  inv_std_.assign(lanes, Dtype(0));
  const Dtype eps = param.eps();
  auto& blobs = this->blobs_;
  if (use_global_stats_) {
    const Dtype weight = blobs[2]->cpu_data()[0];
    const Dtype factor = weight == 0 ? 0 : 1 / weight;
    for (int c = 0; c < channels_; ++c) {
      mean_[c] = blobs[0]->cpu_data()[c] * factor;
      inv_std_[c] = 1 / std::sqrt(blobs[1]->cpu_data()[c] * factor + eps);
    }
    return;
  }
  // Shifted by one value of each channel, the sums do not cancel.
  for (int c = 0; c < channels_; ++c) {
    mean_[c] = x[size_t(c / layout.block) * layout.spatial * layout.block + c % layout.block];
  }
  vector<double> sum(lanes), square(lanes);
  ChannelSums<Dtype>(layout, nullptr, x, mean_.data(), sum.data(), square.data());
  const double m = double(layout.num) * layout.spatial;
  const Dtype old = param.moving_average_fraction();
  Dtype* running_mean = blobs[0]->mutable_cpu_data();
  Dtype* running_var = blobs[1]->mutable_cpu_data();
  for (int c = 0; c < channels_; ++c) {
    const double shifted_mean = sum[c] / m;
    const double var = std::max(0.0, square[c] / m - shifted_mean * shifted_mean);
    mean_[c] += shifted_mean;
    inv_std_[c] = 1 / std::sqrt(var + eps);
    running_mean[c] = old * running_mean[c] + mean_[c];
    running_var[c] = old * running_var[c] + var * (m > 1 ? m / (m - 1) : 1);
  }
  Dtype* weight = blobs[2]->mutable_cpu_data();
  weight[0] = old * weight[0] + 1;
}

template <typename Dtype>
void BatchNormLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  const bool in_place = bottom[0] == top[0];
  block_ = bottom[0]->data_block();
  const ChannelBlocks layout = bottom[0]->Blocks(block_);
  const Dtype* x = bottom[0]->cpu_data(block_);
  ComputeStatistics(layout, x);
  vector<Dtype> beta(mean_.size());
  for (size_t c = 0; c < beta.size(); ++c) beta[c] = -mean_[c] * inv_std_[c];
  Dtype* y = in_place ? top[0]->mutable_cpu_data(block_) : top[0]->overwrite_cpu_data(block_);
  ChannelAffine(layout, x, inv_std_.data(), beta.data(), y);
  if (!in_place) return;
  normalised_.ReshapeLike(*top[0]);
  CopyRange(layout.count(), static_cast<const Dtype*>(y), normalised_.overwrite_cpu_data(block_));
}

// With x_hat the normalised values and m their number per channel,
//     dx = (dy - mean(dy) - x_hat mean(dy x_hat)) / sqrt(var + eps);  global statistics: the first
//     term.
template <typename Dtype>
void BatchNormLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const bool in_place = bottom[0] == top[0];
  const ChannelBlocks layout = bottom[0]->Blocks(block_);
  const int lanes = layout.groups() * layout.block;
  const Dtype* dy = top[0]->cpu_diff(block_);
  Dtype* dx =
      in_place ? bottom[0]->mutable_cpu_diff(block_) : bottom[0]->overwrite_cpu_diff(block_);
  vector<Dtype> zero(lanes, Dtype(0));
  if (use_global_stats_) {
    ChannelAffine(layout, dy, inv_std_.data(), zero.data(), dx);
    return;
  }
  // v: what x_hat is computed from, as (v - shift) factor.
  const Dtype* v = in_place ? normalised_.cpu_data(block_) : bottom[0]->cpu_data(block_);
  const vector<Dtype>& shift = in_place ? zero : mean_;
  vector<double> sum(lanes), dot(lanes);
  ChannelSums(layout, dy, v, shift.data(), sum.data(), dot.data());
  const double m = double(layout.num) * layout.spatial;
  vector<Dtype> b(lanes), d(lanes);
  for (int c = 0; c < lanes; ++c) {
    const double factor = in_place ? 1 : inv_std_[c];
    b[c] = -inv_std_[c] * factor * factor * dot[c] / m;
    d[c] = -inv_std_[c] * sum[c] / m - double(b[c]) * shift[c];
  }
  ChannelAffine2(layout, dy, v, inv_std_.data(), b.data(), d.data(), dx);
}

INSTANTIATE_CLASS(BatchNormLayer);
REGISTER_LAYER_CLASS(BatchNorm);

}  // namespace caffe

#include "caffe/layers/batch_norm_layer.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

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
  sum_.resize(lanes);
  dot_.resize(lanes);
  ChannelSums<Dtype>(layout, nullptr, x, mean_.data(), sum_.data(), dot_.data());
  const double m = double(layout.num) * layout.spatial;
  const Dtype old = param.moving_average_fraction();
  Dtype* running_mean = blobs[0]->mutable_cpu_data();
  Dtype* running_var = blobs[1]->mutable_cpu_data();
  for (int c = 0; c < channels_; ++c) {
    const double shifted_mean = sum_[c] / m;
    const double var = std::max(0.0, dot_[c] / m - shifted_mean * shifted_mean);
    mean_[c] += shifted_mean;
    inv_std_[c] = 1 / std::sqrt(var + eps);
    running_mean[c] = old * running_mean[c] + mean_[c];
    running_var[c] = old * running_var[c] + var * (m > 1 ? m / (m - 1) : 1);
  }
  Dtype* weight = blobs[2]->mutable_cpu_data();
  weight[0] = old * weight[0] + 1;
}

template <typename Dtype>
bool BatchNormLayer<Dtype>::Absorb(Layer<Dtype>* next) {
  if (!std::is_same<Dtype, float>::value || slope_ != 1) return false;
  const string type = next->type();
  if (type == "ReLU") {
    slope_ = next->layer_param().relu_param().negative_slope();
    return true;
  }
  if (type != "Scale" || scale_ || next->blobs().empty()) return false;
  const ScaleParameter& param = next->layer_param().scale_param();
  const Blob<Dtype>& gamma = *next->blobs()[0];
  const bool own_gamma = next->blobs().size() == (param.bias_term() ? 2u : 1u);
  if (!own_gamma || param.axis() != 1 || gamma.num_axes() != 1 || gamma.count() != channels_) {
    return false;
  }
  scale_ = next;
  return true;
}

template <typename Dtype>
void BatchNormLayer<Dtype>::ComputeAffine() {
  alpha_.assign(mean_.size(), Dtype(0));
  beta_.assign(mean_.size(), Dtype(0));
  const Dtype* gamma = scale_ ? scale_->blobs()[0]->cpu_data() : nullptr;
  const Dtype* shift =
      scale_ && scale_->blobs().size() > 1 ? scale_->blobs()[1]->cpu_data() : nullptr;
  for (int c = 0; c < channels_; ++c) {
    alpha_[c] = gamma ? gamma[c] * inv_std_[c] : inv_std_[c];
    beta_[c] = (shift ? shift[c] : 0) - mean_[c] * alpha_[c];
  }
}

template <typename Dtype>
void BatchNormLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  const bool in_place = bottom[0] == top[0];
  block_ = bottom[0]->data_block();
  const ChannelBlocks layout = bottom[0]->Blocks(block_);
  const Dtype* x = bottom[0]->cpu_data(block_);
  ComputeStatistics(layout, x);
  ComputeAffine();
  if (in_place) {
    x_.ReshapeLike(*bottom[0]);
    CopyRange(layout.count(), x, x_.overwrite_cpu_data(block_));
  }
  Dtype* y = in_place ? top[0]->mutable_cpu_data(block_) : top[0]->overwrite_cpu_data(block_);
  ChannelAffine(layout, x, alpha_.data(), beta_.data(), y, slope_);
}

template <typename Dtype>
void BatchNormLayer<Dtype>::ScaleGradient(const double* sum, const double* dot) {
  if (scale_->param_propagate_down(0)) {
    Dtype* diff = scale_->blobs()[0]->mutable_cpu_diff();
    for (int c = 0; c < channels_; ++c) diff[c] += dot[c] * inv_std_[c];
  }
  if (scale_->blobs().size() > 1 && scale_->param_propagate_down(1)) {
    Dtype* diff = scale_->blobs()[1]->mutable_cpu_diff();
    for (int c = 0; c < channels_; ++c) diff[c] += sum[c];
  }
}

// With g = dy r'(alpha x + beta), x_hat the normalised values and m their number per channel,
//     dx = alpha (g - mean(g) - x_hat mean(g x_hat)); global statistics: the first term.
template <typename Dtype>
void BatchNormLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  const bool scale_learns =
      scale_ && (scale_->param_propagate_down(0) || scale_->param_propagate_down(1));
  if (!propagate_down[0] && !scale_learns) return;
  const bool in_place = bottom[0] == top[0];
  const ChannelBlocks layout = bottom[0]->Blocks(block_);
  const int lanes = layout.groups() * layout.block;
  const Dtype* dy = top[0]->cpu_diff(block_);
  const Dtype* x = in_place ? x_.cpu_data(block_) : bottom[0]->cpu_data(block_);
  const ChannelRelu<Dtype> relu = {alpha_.data(), beta_.data(), slope_};
  b_.assign(lanes, Dtype(0));
  d_.assign(lanes, Dtype(0));
  if (!use_global_stats_ || scale_learns) {
    sum_.resize(lanes);
    dot_.resize(lanes);
    ChannelSums(layout, dy, x, mean_.data(), sum_.data(), dot_.data(), &relu);
    if (scale_learns) ScaleGradient(sum_.data(), dot_.data());
  }
  if (!propagate_down[0]) return;
  if (!use_global_stats_) {
    const double m = double(layout.num) * layout.spatial;
    for (int c = 0; c < channels_; ++c) {
      const double inv_std = inv_std_[c];
      const double b = -alpha_[c] * inv_std * inv_std * dot_[c] / m;
      b_[c] = b;
      d_[c] = -alpha_[c] * sum_[c] / m - b * mean_[c];
    }
  }
  Dtype* dx =
      in_place ? bottom[0]->mutable_cpu_diff(block_) : bottom[0]->overwrite_cpu_diff(block_);
  ChannelAffine2(layout, dy, x, alpha_.data(), b_.data(), d_.data(), dx, &relu);
}

INSTANTIATE_CLASS(BatchNormLayer);
REGISTER_LAYER_CLASS(BatchNorm);

}  // namespace caffe

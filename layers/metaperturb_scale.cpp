#include "layers/metaperturb_scale.hpp"

#include <algorithm>
#include <cmath>

namespace metaperturb {

template <typename Dtype>
void ChannelScale<Dtype>::Reshape(int num, int channels, int lanes, double C_share,
                                  double H_share) {
  // What the backward pass needs stays where nothing changes.
  const bool same_statistics = channels == channels_ && lanes == lanes_;
  num_ = num;
  channels_ = channels;
  lanes_ = lanes;
  C_share_ = C_share;
  H_share_ = H_share;
  const size_t per_image = size_t(lanes) * 4;
  f_.resize(num * per_image);
  df_.resize(num * per_image);
  ds_.resize(size_t(num) * lanes);
  ds_sum_.resize(lanes);
  if (same_statistics) return;
  s_.assign(lanes, Dtype(0));
  for (auto* values : {&mean_, &variance_, &constant_, &of_mean_}) values->assign(per_image, 0);
}

template <typename Dtype>
void ChannelScale<Dtype>::FromBatch(const Dtype* w, double old, Dtype* running_mean,
                                    Dtype* running_var) {
  const int per_image = 4 * lanes_;
  std::fill(mean_.begin(), mean_.end(), 0.0);
  std::fill(variance_.begin(), variance_.end(), 0.0);
  for (int n = 0; n < num_; ++n) {
    const Dtype* values = f(n);
    for (int i = 0; i < per_image; ++i) mean_[i] += values[i];
  }
  for (double& mean : mean_) mean /= num_;
  for (int n = 0; n < num_; ++n) {
    const Dtype* values = f(n);
    for (int i = 0; i < per_image; ++i) {
      const double d = values[i] - mean_[i];
      variance_[i] += d * d;
    }
  }
  for (double& variance : variance_) variance /= num_ - 1;
  for (int c = 0; c < channels_; ++c) {
    for (int k = 0; k < 4; ++k) {
      const int from = k * lanes_ + c, to = c * 4 + k;
      running_mean[to] = old * running_mean[to] + (1 - old) * mean_[from];
      running_var[to] = old * running_var[to] + (1 - old) * variance_[from] * num_ / (num_ - 1);
      // What overflows the running ones is not finite here either, and ends the training.
      mean_[from] = static_cast<Dtype>(mean_[from]);
      variance_[from] = static_cast<Dtype>(variance_[from]);
    }
  }
  from_batch_ = true;
  Compute(w);
}

template <typename Dtype>
void ChannelScale<Dtype>::FromRunning(const Dtype* w, const Dtype* running_mean,
                                      const Dtype* running_var) {
  for (int c = 0; c < channels_; ++c) {
    for (int k = 0; k < 4; ++k) {
      mean_[k * lanes_ + c] = running_mean[c * 4 + k];
      variance_[k * lanes_ + c] = running_var[c * 4 + k];
    }
  }
  from_batch_ = false;
  Compute(w);
}

template <typename Dtype>
void ChannelScale<Dtype>::Compute(const Dtype* w) {
  for (int c = 0; c < channels_; ++c) {
    double sum = w[8] * C_share_ + w[9] * H_share_;
    for (int k = 0; k < 4; ++k) {
      sum += w[k] * mean_[k * lanes_ + c] + w[4 + k] * variance_[k * lanes_ + c];
    }
    s_[c] = 1 / (1 + std::exp(-sum));
  }
}

template <typename Dtype>
void ChannelScale<Dtype>::Backward(const Dtype* w, Dtype* dw) {
  std::fill(ds_sum_.begin(), ds_sum_.end(), 0.0);
  for (int n = 0; n < num_; ++n) {
    const Dtype* values = ds(n);
    for (int l = 0; l < lanes_; ++l) ds_sum_[l] += values[l];
  }
  double sums[10] = {};
  for (int c = 0; c < channels_; ++c) {
    const double dt = ds_sum_[c] * s_[c] * (1 - s_[c]);
    for (int k = 0; k < 4; ++k) {
      const int i = k * lanes_ + c;
      sums[k] += dt * mean_[i];
      sums[4 + k] += dt * variance_[i];
      constant_[i] = dt * w[k] / num_;
      of_mean_[i] = dt * w[4 + k] * 2 / (num_ - 1);
    }
    sums[8] += dt * C_share_;
    sums[9] += dt * H_share_;
  }
  for (int j = 0; dw && j < 10; ++j) dw[j] += sums[j];
  if (!from_batch_) return;
  const int per_image = 4 * lanes_;
  for (int n = 0; n < num_; ++n) {
    const Dtype* values = f(n);
    Dtype* to = &df_[size_t(n) * per_image];
    for (int i = 0; i < per_image; ++i) {
      to[i] = constant_[i] + of_mean_[i] * (values[i] - mean_[i]);
    }
  }
}

template class ChannelScale<float>;
template class ChannelScale<double>;

}  // namespace metaperturb

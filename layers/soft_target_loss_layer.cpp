#include "layers/soft_target_loss_layer.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>

#include "layers/host.hpp"
#include "layers/layer_param.hpp"
#include "layers/mixup_plan.hpp"

namespace caffe {

template <typename Dtype>
void SoftTargetLossLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::LayerSetUp(bottom, top);
  metaperturb::InLayer(*this, [&] {
    param_ = metaperturb::LayerParam<SoftTargetLossParameter>(this->layer_param_);
    const float e = param_.label_smoothing();
    ENFORCE(e >= 0 && e <= 1) << "label_smoothing is " << e << "; it must lie in [0, 1]";
  });
}

template <typename Dtype>
void SoftTargetLossLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                         const vector<Blob<Dtype>*>& top) {
  metaperturb::InLayer(*this, [&] { ReshapeChecked(bottom, top); });
}

template <typename Dtype>
void SoftTargetLossLayer<Dtype>::ReshapeChecked(const vector<Blob<Dtype>*>& bottom,
                                                const vector<Blob<Dtype>*>& top) {
  const Blob<Dtype>& x = *bottom[0];
  const int axis = this->layer_param_.softmax_param().axis();
  ENFORCE(axis >= -x.num_axes() && axis < x.num_axes())
      << "softmax_param.axis is " << axis << "; the scores have shape " << x.shape_string();
  const int at = x.CanonicalAxisIndex(axis);
  outer_ = x.count(0, at);
  classes_ = x.shape(at);
  inner_ = x.count(at + 1);
  ENFORCE(outer_ * inner_ == bottom[1]->count())
      << bottom[1]->count() << " labels for scores of shape " << x.shape_string()
      << ", which ask for " << outer_ * inner_;
  if (bottom.size() > 2) {
    ENFORCE(at == 1) << "softmax_param.axis is " << axis << "; with a plan it must be 1";
    metaperturb::CheckPlanShape(*bottom[2], outer_);
  }
  prob_.ReshapeLike(x);
  top[0]->Reshape(vector<int>());
  if (top.size() > 1) top[1]->ReshapeLike(x);
}

template <typename Dtype>
void SoftTargetLossLayer<Dtype>::ReadTargets(const vector<Blob<Dtype>*>& bottom) {
  const LossParameter& loss_param = this->layer_param_.loss_param();
  const Dtype* labels = bottom[1]->cpu_data();
  const auto label_of = [&](int n, int i) {
    const int label = static_cast<int>(labels[n * inner_ + i]);
    if (loss_param.has_ignore_label() && label == loss_param.ignore_label()) return -1;
    ENFORCE(label >= 0 && label < classes_)
        << "label " << labels[n * inner_ + i] << " of image " << n << " of the batch is outside of "
        << "the " << classes_ << " classes (0 to " << classes_ - 1 << ")";
    return label;
  };
  const bool mix = bottom.size() > 2 && this->phase_ == TRAIN;
  targets_.resize(size_t(outer_) * inner_);
  valid_ = 0;
  for (int n = 0; n < outer_; ++n) {
    const metaperturb::MixupEntry plan =
        mix ? metaperturb::PlanOf(*bottom[2], n) : metaperturb::MixupEntry{n, 1, 0, 1};
    for (int i = 0; i < inner_; ++i) {
      Target& target = targets_[size_t(n) * inner_ + i];
      target.first = label_of(n, i);
      target.second = plan.lambda < 1 ? label_of(plan.partner, i) : target.first;
      target.lambda = static_cast<Dtype>(plan.lambda);
      if (target.second < 0) target.first = -1;
      if (target.first >= 0) ++valid_;
    }
  }
}

template <typename Dtype>
void SoftTargetLossLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                             const vector<Blob<Dtype>*>& top) {
  metaperturb::InLayer(*this, [&] { ReadTargets(bottom); });
  const Dtype* scores = bottom[0]->cpu_data();
  Dtype* prob = prob_.mutable_cpu_data();
  const Dtype e = Smoothing();
  const double limit =
      this->phase_ == TEST ? -std::log(double{FLT_MIN}) : std::numeric_limits<double>::infinity();
  losses_.assign(outer_, 0);
#pragma omp parallel for schedule(static)
  for (int n = 0; n < outer_; ++n) {
    for (int i = 0; i < inner_; ++i) {
      const size_t at = size_t(n) * classes_ * inner_ + i;
      const Dtype* x = scores + at;
      Dtype* p = prob + at;
      Dtype largest = x[0];
      for (int k = 1; k < classes_; ++k) largest = std::max(largest, x[size_t(k) * inner_]);
      double sum = 0, shifted_sum = 0;
      for (int k = 0; k < classes_; ++k) {
        const Dtype shifted = x[size_t(k) * inner_] - largest;
        p[size_t(k) * inner_] = std::exp(shifted);
        sum += p[size_t(k) * inner_];
        shifted_sum += shifted;
      }
      const Dtype scale = static_cast<Dtype>(1 / sum);
      for (int k = 0; k < classes_; ++k) p[size_t(k) * inner_] *= scale;
      const Target& t = targets_[size_t(n) * inner_ + i];
      if (t.first < 0) continue;
      const double first = x[size_t(t.first) * inner_] - largest;
      const double second = x[size_t(t.second) * inner_] - largest;
      // sum_k t_k (x_k - largest); a share of 0 says nothing about a score that is -infinity.
      double expected = t.lambda == 1 ? first : t.lambda * first + (1 - t.lambda) * second;
      if (e > 0) expected = (1 - e) * expected + e / classes_ * shifted_sum;
      losses_[n] += std::min(std::log(sum) - expected, limit);  // a NaN stays one
    }
  }
  double loss = 0;
  for (const double part : losses_) loss += part;
  top[0]->mutable_cpu_data()[0] = static_cast<Dtype>(loss / Normalizer());
  if (top.size() > 1) top[1]->CopyFrom(prob_);
}

template <typename Dtype>
void SoftTargetLossLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                              const vector<bool>& propagate_down,
                                              const vector<Blob<Dtype>*>& bottom) {
  metaperturb::InLayer(*this, [&] {
    for (size_t i = 1; i < bottom.size(); ++i) {
      ENFORCE(!propagate_down[i]) << (i == 1 ? "labels get" : "the plan (bottom 2) gets")
                                  << " no gradient";
    }
  });
  if (!propagate_down[0]) return;
  const Dtype* prob = prob_.cpu_data();
  Dtype* diff = bottom[0]->mutable_cpu_diff();
  const Dtype factor = top[0]->cpu_diff()[0] / Normalizer();
  const Dtype e = Smoothing(), everywhere = e / classes_;
#pragma omp parallel for schedule(static)
  for (int n = 0; n < outer_; ++n) {
    for (int i = 0; i < inner_; ++i) {
      const size_t at = size_t(n) * classes_ * inner_ + i;
      const Target& t = targets_[size_t(n) * inner_ + i];
      const Dtype weight = t.first < 0 ? Dtype(0) : factor;
      Dtype* dx = diff + at;
      for (int k = 0; k < classes_; ++k) {
        dx[size_t(k) * inner_] = weight * (prob[at + size_t(k) * inner_] - everywhere);
      }
      if (t.first < 0) continue;
      dx[size_t(t.first) * inner_] -= weight * (1 - e) * t.lambda;
      dx[size_t(t.second) * inner_] -= weight * (1 - e) * (1 - t.lambda);
    }
  }
}

INSTANTIATE_CLASS(SoftTargetLossLayer);
REGISTER_LAYER_CLASS(SoftTargetLoss);

}  // namespace caffe

#include "caffe/layers/softmax_loss_layer.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace caffe {

template <typename Dtype>
void SoftmaxWithLossLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                             const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::LayerSetUp(bottom, top);
  LayerParameter param;
  param.set_type("Softmax");
  *param.mutable_softmax_param() = this->layer_param_.softmax_param();
  softmax_.reset(new SoftmaxLayer<Dtype>(param));
  softmax_->SetUp({bottom[0]}, {&prob_});
}

template <typename Dtype>
void SoftmaxWithLossLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::Reshape(bottom, top);
  softmax_->Reshape({bottom[0]}, {&prob_});
  axis_ = bottom[0]->CanonicalAxisIndex(this->layer_param_.softmax_param().axis());
  outer_ = bottom[0]->count(0, axis_);
  classes_ = bottom[0]->shape(axis_);
  inner_ = bottom[0]->count(axis_ + 1);
  ENFORCE(outer_ * inner_ == bottom[1]->count())
      << bottom[1]->count() << " labels for predictions of shape " << bottom[0]->shape_string()
      << ", which ask for " << outer_ * inner_;
  if (top.size() > 1) top[1]->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
void SoftmaxWithLossLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                              const vector<Blob<Dtype>*>& top) {
  softmax_->Forward({bottom[0]}, {&prob_});
  const Dtype* p = prob_.cpu_data();
  const Dtype* labels = bottom[1]->cpu_data();
  double loss = 0;
  valid_ = 0;
  for (int n = 0; n < outer_; ++n) {
    for (int i = 0; i < inner_; ++i) {
      const int label = static_cast<int>(labels[n * inner_ + i]);
      if (Ignored(label)) continue;
      ENFORCE(label >= 0 && label < classes_) << "label " << labels[n * inner_ + i] << " of image "
                                              << n << " of the batch is outside of the " << classes_
                                              << " classes (0 to " << classes_ - 1 << ")";
      const Dtype chosen = p[(size_t(n) * classes_ + label) * inner_ + i];
      // Written so that a NaN stays one.
      loss -= std::log(chosen < Dtype(FLT_MIN) ? Dtype(FLT_MIN) : chosen);
      ++valid_;
    }
  }
  top[0]->mutable_cpu_data()[0] = loss / Normalizer(valid_);
  if (top.size() > 1) top[1]->CopyFrom(prob_);
}

template <typename Dtype>
void SoftmaxWithLossLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                               const vector<bool>& propagate_down,
                                               const vector<Blob<Dtype>*>& bottom) {
  ENFORCE(!propagate_down[1]) << "labels get no gradient";
  if (!propagate_down[0]) return;
  const Dtype* p = prob_.cpu_data();
  const Dtype* labels = bottom[1]->cpu_data();
  const Dtype factor = top[0]->cpu_diff()[0] / Normalizer(valid_);
  Dtype* dx = bottom[0]->overwrite_cpu_diff(1);
  for (int n = 0; n < outer_; ++n) {
    for (int i = 0; i < inner_; ++i) {
      const int label = static_cast<int>(labels[n * inner_ + i]);
      const Dtype weight = Ignored(label) ? 0 : factor;
      for (int c = 0; c < classes_; ++c) {
        const size_t at = (size_t(n) * classes_ + c) * inner_ + i;
        dx[at] = weight * (p[at] - (c == label ? 1 : 0));
      }
    }
  }
}

INSTANTIATE_CLASS(SoftmaxWithLossLayer);
REGISTER_LAYER_CLASS(SoftmaxWithLoss);

}  // namespace caffe

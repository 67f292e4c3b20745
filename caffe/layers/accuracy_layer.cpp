#include "caffe/layers/accuracy_layer.hpp"

#include <numeric>

namespace caffe {

template <typename Dtype>
void AccuracyLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  ENFORCE(this->layer_param_.accuracy_param().top_k() > 0) << "top_k is 0";
  this->RefuseInPlace(bottom, top);
}

template <typename Dtype>
void AccuracyLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const AccuracyParameter& param = this->layer_param_.accuracy_param();
  axis_ = bottom[0]->CanonicalAxisIndex(param.axis());
  outer_ = bottom[0]->count(0, axis_);
  classes_ = bottom[0]->shape(axis_);
  inner_ = bottom[0]->count(axis_ + 1);
  ENFORCE(static_cast<int>(param.top_k()) <= classes_)
      << "top_k " << param.top_k() << " exceeds the " << classes_ << " classes";
  ENFORCE(outer_ * inner_ == bottom[1]->count())
      << bottom[1]->count() << " labels for predictions of shape " << bottom[0]->shape_string();
  top[0]->Reshape(vector<int>());
  if (top.size() > 1) top[1]->Reshape({classes_});
}

template <typename Dtype>
void AccuracyLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  const AccuracyParameter& param = this->layer_param_.accuracy_param();
  const Dtype* x = bottom[0]->cpu_data();
  const Dtype* labels = bottom[1]->cpu_data();
  vector<int> seen(classes_, 0), right(classes_, 0);
  for (int n = 0; n < outer_; ++n) {
    for (int i = 0; i < inner_; ++i) {
      const int label = static_cast<int>(labels[n * inner_ + i]);
      if (param.has_ignore_label() && label == param.ignore_label()) continue;
      ENFORCE(label >= 0 && label < classes_) << "label " << labels[n * inner_ + i] << " of image "
                                              << n << " of the batch is outside of the " << classes_
                                              << " classes (0 to " << classes_ - 1 << ")";
      const Dtype* scores = x + size_t(n) * classes_ * inner_ + i;
      const Dtype own = scores[label * inner_];
      int as_good = 0;
      // Written so that a score that is not a number, its own or another, makes it wrong.
      for (int c = 0; c < classes_; ++c) as_good += c != label && !(scores[c * inner_] < own);
      ++seen[label];
      right[label] += as_good < static_cast<int>(param.top_k());
    }
  }
  const int all = std::accumulate(seen.begin(), seen.end(), 0);
  const int all_right = std::accumulate(right.begin(), right.end(), 0);
  top[0]->mutable_cpu_data()[0] = all ? Dtype(all_right) / all : 0;
  for (int c = 0; top.size() > 1 && c < classes_; ++c) {
    top[1]->mutable_cpu_data()[c] = seen[c] ? Dtype(right[c]) / seen[c] : 0;
  }
}

template <typename Dtype>
void AccuracyLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                        const vector<bool>& propagate_down,
                                        const vector<Blob<Dtype>*>& bottom) {
  (void)top;
  (void)bottom;
  for (bool wanted : propagate_down) ENFORCE(!wanted) << "accuracy has no gradient";
}

INSTANTIATE_CLASS(AccuracyLayer);
REGISTER_LAYER_CLASS(Accuracy);

}  // namespace caffe

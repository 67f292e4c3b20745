#include "caffe/layers/softmax_layer.hpp"

#include <algorithm>
#include <cmath>

#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
void SoftmaxLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  axis_ = bottom[0]->CanonicalAxisIndex(this->layer_param_.softmax_param().axis());
  (void)top;
}

template <typename Dtype>
void SoftmaxLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  top[0]->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
void SoftmaxLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const int outer = bottom[0]->count(0, axis_), classes = bottom[0]->shape(axis_);
  const int inner = bottom[0]->count(axis_ + 1);
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  for (int n = 0; n < outer; ++n) {
    for (int i = 0; i < inner; ++i) {
      const size_t at = size_t(n) * classes * inner + i;
      // Minus the largest, so that no exponential overflows.
      Dtype largest = x[at];
      for (int c = 1; c < classes; ++c) largest = std::max(largest, x[at + c * inner]);
      Dtype sum = 0;
      for (int c = 0; c < classes; ++c) {
        y[at + c * inner] = std::exp(x[at + c * inner] - largest);
        sum += y[at + c * inner];
      }
      for (int c = 0; c < classes; ++c) y[at + c * inner] /= sum;
    }
  }
}

template <typename Dtype>
void SoftmaxLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int outer = bottom[0]->count(0, axis_), classes = bottom[0]->shape(axis_);
  const int inner = bottom[0]->count(axis_ + 1);
  const Dtype* y = top[0]->cpu_data();
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  for (int n = 0; n < outer; ++n) {
    for (int i = 0; i < inner; ++i) {
      const size_t at = size_t(n) * classes * inner + i;
      const Dtype dot = caffe_cpu_strided_dot(classes, dy + at, inner, y + at, inner);
      for (int c = 0; c < classes; ++c) {
        const size_t j = at + c * inner;
        dx[j] = y[j] * (dy[j] - dot);
      }
    }
  }
}

INSTANTIATE_CLASS(SoftmaxLayer);
REGISTER_LAYER_CLASS(Softmax);

}  // namespace caffe

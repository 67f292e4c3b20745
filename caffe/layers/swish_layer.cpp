#include "caffe/layers/swish_layer.hpp"

#include <cmath>

namespace caffe {

template <typename Dtype>
void SwishLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const Dtype beta = this->layer_param_.swish_param().beta();
  sigmoid_.ReshapeLike(*bottom[0]);
  Dtype* s = sigmoid_.mutable_cpu_data();
  const int count = bottom[0]->count();
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
#pragma omp parallel for schedule(static)
  for (int i = 0; i < count; ++i) {
    s[i] = Dtype(0.5) * std::tanh(Dtype(0.5) * beta * x[i]) + Dtype(0.5);
    y[i] = x[i] * s[i];
  }
}

template <typename Dtype>
void SwishLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int count = bottom[0]->count();
  const Dtype* y = top[0]->cpu_data();
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  const Dtype beta = this->layer_param_.swish_param().beta();
  const Dtype* s = sigmoid_.cpu_data();
#pragma omp parallel for schedule(static)
  for (int i = 0; i < count; ++i) dx[i] = dy[i] * (beta * y[i] + s[i] * (1 - beta * y[i]));
}

INSTANTIATE_CLASS(SwishLayer);
REGISTER_LAYER_CLASS(Swish);

}  // namespace caffe

#include "softsign_layer.hpp"

#include <cmath>

#include "caffe/layer_factory.hpp"

namespace caffe {

template <typename Dtype>
void SoftsignLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  for (int i = 0; i < top[0]->count(); ++i) y[i] = x[i] / (1 + std::abs(x[i]));
}

// 1 / (1 + |x|) = 1 - |y|: the result is enough, also in place.
template <typename Dtype>
void SoftsignLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                        const vector<bool>& propagate_down,
                                        const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype* y = top[0]->cpu_data();
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  for (int i = 0; i < top[0]->count(); ++i) {
    const Dtype slope = 1 - std::abs(y[i]);
    dx[i] = dy[i] * slope * slope;
  }
}

INSTANTIATE_CLASS(SoftsignLayer);
REGISTER_LAYER_CLASS(Softsign);

}  // namespace caffe

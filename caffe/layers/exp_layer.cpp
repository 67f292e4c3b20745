#include "caffe/layers/exp_layer.hpp"

#include <cmath>

namespace caffe {

template <typename Dtype>
void ExpLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                 const vector<Blob<Dtype>*>& top) {
  (void)bottom;
  (void)top;
  const ExpParameter& param = this->layer_param_.exp_param();
  ENFORCE(param.base() > 0 || param.base() == -1)
      << "exp_param.base is " << param.base() << "; it must be positive, or -1 for e";
  const double log_base = param.base() == -1 ? 1 : std::log(double(param.base()));
  inner_scale_ = Dtype(log_base * param.scale());
  outer_scale_ = Dtype(std::exp(log_base * param.shift()));
}

template <typename Dtype>
void ExpLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  const int count = bottom[0]->count();
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
#pragma omp parallel for schedule(static)
  for (int i = 0; i < count; ++i) y[i] = outer_scale_ * std::exp(inner_scale_ * x[i]);
}

template <typename Dtype>
void ExpLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                   const vector<bool>& propagate_down,
                                   const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int count = bottom[0]->count();
  const Dtype* y = top[0]->cpu_data();
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
#pragma omp parallel for schedule(static)
  for (int i = 0; i < count; ++i) dx[i] = dy[i] * y[i] * inner_scale_;
}

INSTANTIATE_CLASS(ExpLayer);
REGISTER_LAYER_CLASS(Exp);

}  // namespace caffe

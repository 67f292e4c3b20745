#include "caffe/layers/log_layer.hpp"

#include <cmath>

namespace caffe {

template <typename Dtype>
void LogLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                 const vector<Blob<Dtype>*>& top) {
  const LogParameter& param = this->layer_param_.log_param();
  ENFORCE((param.base() > 0 && param.base() != 1) || param.base() == -1)
      << "log_param.base is " << param.base() << "; it must be positive and not 1, or -1 for e";
  ENFORCE(bottom[0] != top[0])
      << "the logarithm cannot be computed in place: give the top a name of its own";
  log_base_ = param.base() == -1 ? Dtype(1) : std::log(Dtype(param.base()));
}

template <typename Dtype>
void LogLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  const LogParameter& param = this->layer_param_.log_param();
  const Dtype scale = param.scale(), shift = param.shift(), log_base = log_base_;
  const int count = bottom[0]->count();
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
#pragma omp parallel for schedule(static)
  for (int i = 0; i < count; ++i) y[i] = std::log(shift + scale * x[i]) / log_base;
}

template <typename Dtype>
void LogLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                   const vector<bool>& propagate_down,
                                   const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int count = bottom[0]->count();
  const Dtype* x = bottom[0]->cpu_data();
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  const LogParameter& param = this->layer_param_.log_param();
  const Dtype scale = param.scale(), shift = param.shift(), log_base = log_base_;
#pragma omp parallel for schedule(static)
  for (int i = 0; i < count; ++i) dx[i] = dy[i] * scale / ((shift + scale * x[i]) * log_base);
}

INSTANTIATE_CLASS(LogLayer);
REGISTER_LAYER_CLASS(Log);

}  // namespace caffe

#include "caffe/sgd_solvers.hpp"
#include "caffe/solvers/for_each_element.hpp"

namespace caffe {

template <typename Dtype>
void AdaDeltaSolver<Dtype>::ComputeUpdateValue(int param_id, Dtype rate) {
  Blob<Dtype>* param = this->net_->learnable_params()[param_id];
  const Dtype r = rate * this->net_->params_lr()[param_id];
  const size_t params = this->net_->learnable_params().size();
  const Dtype delta = this->param_.delta();
  const Dtype mu = this->param_.momentum();
  Dtype* g = param->mutable_cpu_diff();
  Dtype* h = this->history_[param_id]->mutable_cpu_data();
  Dtype* u = this->history_[params + param_id]->mutable_cpu_data();
  ForEachElement(param->count(), [=](int i) {
    h[i] = mu * h[i] + (1 - mu) * g[i] * g[i];
    const Dtype step = g[i] * std::sqrt((u[i] + delta) / (h[i] + delta));
    u[i] = mu * u[i] + (1 - mu) * step * step;
    g[i] = r * step;
  });
}

INSTANTIATE_CLASS(AdaDeltaSolver);
REGISTER_SOLVER_CLASS(AdaDelta);

}  // namespace caffe

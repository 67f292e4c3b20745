#include "caffe/sgd_solvers.hpp"
#include "caffe/solvers/for_each_element.hpp"

namespace caffe {

template <typename Dtype>
void NesterovSolver<Dtype>::ComputeUpdateValue(int param_id, Dtype rate) {
  Blob<Dtype>* param = this->net_->learnable_params()[param_id];
  const Dtype r = rate * this->net_->params_lr()[param_id];
  const Dtype momentum = this->param_.momentum();
  Dtype* g = param->mutable_cpu_diff();
  Dtype* h = this->history_[param_id]->mutable_cpu_data();
  ForEachElement(param->count(), [=](int i) {
    const Dtype next = momentum * h[i] + r * g[i];
    g[i] = (1 + momentum) * next - momentum * h[i];
    h[i] = next;
  });
}

INSTANTIATE_CLASS(NesterovSolver);
REGISTER_SOLVER_CLASS(Nesterov);

}  // namespace caffe

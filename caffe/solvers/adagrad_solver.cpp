#include "caffe/sgd_solvers.hpp"
#include "caffe/solvers/apply_rule.hpp"

namespace caffe {

template <typename Dtype>
void AdaGradSolver<Dtype>::Check() const {
  ENFORCE(this->param_.momentum() == 0)
      << "solver AdaGrad takes no momentum, but it is " << this->param_.momentum();
}

template <typename Dtype>
void AdaGradSolver<Dtype>::ComputeUpdateValue(int param_id, Dtype rate) {
  Blob<Dtype>* param = this->net_->learnable_params()[param_id];
  const Dtype r = rate * this->net_->params_lr()[param_id];
  const Dtype delta = this->param_.delta();
  Apply(param->count(), AdaGradStep<Dtype>{r, delta, MutableDiffOfMode(param),
                                           MutableDataOfMode(this->history_[param_id].get())});
}

INSTANTIATE_CLASS(AdaGradSolver);
REGISTER_SOLVER_CLASS(AdaGrad);

}  // namespace caffe

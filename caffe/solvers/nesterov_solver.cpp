#include "caffe/sgd_solvers.hpp"
#include "caffe/solvers/apply_rule.hpp"

namespace caffe {

template <typename Dtype>
void NesterovSolver<Dtype>::ComputeUpdateValue(int param_id, Dtype rate) {
  Blob<Dtype>* param = this->net_->learnable_params()[param_id];
  const Dtype r = rate * this->net_->params_lr()[param_id];
  const Dtype momentum = this->param_.momentum();
  Apply(param->count(), NesterovStep<Dtype>{r, momentum, MutableDiffOfMode(param),
                                            MutableDataOfMode(this->history_[param_id].get())});
}

INSTANTIATE_CLASS(NesterovSolver);
REGISTER_SOLVER_CLASS(Nesterov);

}  // namespace caffe

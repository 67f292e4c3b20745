#include "caffe/sgd_solvers.hpp"
#include "caffe/solvers/apply_rule.hpp"

namespace caffe {

template <typename Dtype>
void RMSPropSolver<Dtype>::Check() const {
  ENFORCE(this->param_.momentum() == 0)
      << "solver RMSProp takes no momentum, but it is " << this->param_.momentum();
  ENFORCE(this->param_.rms_decay() >= 0 && this->param_.rms_decay() < 1)
      << "rms_decay is " << this->param_.rms_decay() << "; it must be in [0, 1)";
}

template <typename Dtype>
void RMSPropSolver<Dtype>::ComputeUpdateValue(int param_id, Dtype rate) {
  Blob<Dtype>* param = this->net_->learnable_params()[param_id];
  const Dtype r = rate * this->net_->params_lr()[param_id];
  const Dtype delta = this->param_.delta();
  const Dtype decay = this->param_.rms_decay();
  Apply(param->count(), RMSPropStep<Dtype>{r, delta, decay, MutableDiffOfMode(param),
                                           MutableDataOfMode(this->history_[param_id].get())});
}

INSTANTIATE_CLASS(RMSPropSolver);
REGISTER_SOLVER_CLASS(RMSProp);

}  // namespace caffe

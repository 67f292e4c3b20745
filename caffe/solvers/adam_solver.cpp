#include "caffe/sgd_solvers.hpp"
#include "caffe/solvers/apply_rule.hpp"

namespace caffe {

template <typename Dtype>
void AdamSolver<Dtype>::ComputeUpdateValue(int param_id, Dtype rate) {
  Blob<Dtype>* param = this->net_->learnable_params()[param_id];
  const Dtype r = rate * this->net_->params_lr()[param_id];
  const size_t params = this->net_->learnable_params().size();
  const double b1 = this->param_.momentum(), b2 = this->param_.momentum2();
  const double t = this->iter_ + 1;
  // Undoes the bias of the moments towards their initial zeros.
  const Dtype scale =
      r * static_cast<Dtype>(std::sqrt(1 - std::pow(b2, t)) / (1 - std::pow(b1, t)));
  const Dtype beta1 = b1, beta2 = b2, delta = this->param_.delta();
  Apply(param->count(),
        AdamStep<Dtype>{scale, beta1, beta2, delta, MutableDiffOfMode(param),
                        MutableDataOfMode(this->history_[param_id].get()),
                        MutableDataOfMode(this->history_[params + param_id].get())});
}

INSTANTIATE_CLASS(AdamSolver);
REGISTER_SOLVER_CLASS(Adam);

}  // namespace caffe

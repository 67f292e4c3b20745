#include "caffe/sgd_solvers.hpp"
#include "caffe/solvers/apply_rule.hpp"

namespace caffe {

template <typename Dtype>
void AdaDeltaSolver<Dtype>::ComputeUpdateValue(int param_id, Dtype rate) {
  Blob<Dtype>* param = this->net_->learnable_params()[param_id];
  const Dtype r = rate * this->net_->params_lr()[param_id];
  const size_t params = this->net_->learnable_params().size();
  const Dtype delta = this->param_.delta();
  const Dtype mu = this->param_.momentum();
  Apply(param->count(),
        AdaDeltaStep<Dtype>{r, delta, mu, MutableDiffOfMode(param),
                            MutableDataOfMode(this->history_[param_id].get()),
                            MutableDataOfMode(this->history_[params + param_id].get())});
}

INSTANTIATE_CLASS(AdaDeltaSolver);
REGISTER_SOLVER_CLASS(AdaDelta);

}  // namespace caffe

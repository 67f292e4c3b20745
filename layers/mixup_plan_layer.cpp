#include "layers/mixup_plan_layer.hpp"

#include <cmath>
#include <numeric>
#include <utility>

#include "layers/layer_param.hpp"
#include "layers/mixup_plan.hpp"
#include "util/philox.hpp"
#include "util/random_variates.hpp"

namespace caffe {

template <typename Dtype>
void MixupPlanLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) {
  metaperturb::InLayer(*this, [&] {
    param_ = metaperturb::LayerParam<MixupPlanParameter>(this->layer_param_);
    ENFORCE(param_.alpha() > 0 && std::isfinite(param_.alpha()))
        << "alpha is " << param_.alpha() << "; it must be positive and finite";
    ENFORCE(param_.positions() > 0) << "positions is 0; it must be positive";
  });
}

template <typename Dtype>
void MixupPlanLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  metaperturb::InLayer(*this, [&] {
    ENFORCE(bottom[0] != top[0]) << "cannot work in place: give the top a name of its own";
    ENFORCE(bottom[0]->num_axes() > 0) << "the bottom has no axis of images";
    top[0]->Reshape({bottom[0]->shape(0), metaperturb::kPlanNumbers});
  });
}

template <typename Dtype>
void MixupPlanLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  this->BeginPass();
  const int num = bottom[0]->shape(0);
  const bool train = this->phase_ == TRAIN;
  PhiloxEngine random(PhiloxKey(this->noise_key(), this->noise_pass()));
  const double alpha = param_.alpha();
  double lambda = train ? BetaVariate(alpha, alpha, &random) : 1;
  const uint32_t position = train ? UniformBelow(param_.positions(), &random) : 0;
  partners_.resize(num);
  std::iota(partners_.begin(), partners_.end(), 0);
  for (int left = num; train && left > 1; --left) {
    const uint32_t pick = UniformBelow(static_cast<uint32_t>(left), &random);
    std::swap(partners_[left - 1], partners_[pick]);
  }
  Dtype* plan = top[0]->mutable_cpu_data();
  for (int n = 0; n < num; ++n, plan += metaperturb::kPlanNumbers) {
    if (train && param_.per_image() && n > 0) lambda = BetaVariate(alpha, alpha, &random);
    plan[0] = static_cast<Dtype>(partners_[n]);
    plan[1] = static_cast<Dtype>(lambda);
    plan[2] = static_cast<Dtype>(position);
    plan[3] = static_cast<Dtype>(param_.positions());
  }
}

template <typename Dtype>
void MixupPlanLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>&,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>&) {
  metaperturb::InLayer(*this, [&] {
    ENFORCE(!propagate_down[0]) << "its bottom gets no gradient: give it the labels or the data";
  });
}

INSTANTIATE_CLASS(MixupPlanLayer);
REGISTER_LAYER_CLASS(MixupPlan);

}  // namespace caffe

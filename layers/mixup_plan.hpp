#ifndef METAPERTURB_LAYERS_MIXUP_PLAN_HPP_
#define METAPERTURB_LAYERS_MIXUP_PLAN_HPP_

#include <cmath>
#include <vector>

#include "caffe/blob.hpp"
#include "util/error.hpp"

namespace metaperturb {

// What a MixupPlan layer tells the layers that follow it, a blob N x 4: per image (partner, lambda,
// position, positions). See layers/mixup_plan_layer.hpp.
constexpr int kPlanNumbers = 4;

struct MixupEntry {
  int partner;    // the image of the batch to mix with
  double lambda;  // the image's own share
  int position;   // the place where the batch is mixed
  int positions;  // of so many
};

template <typename Dtype>
void CheckPlanShape(const caffe::Blob<Dtype>& plan, int num) {
  ENFORCE(plan.shape() == std::vector<int>({num, kPlanNumbers}))
      << "the plan has shape " << plan.shape_string() << " where " << num << " " << kPlanNumbers
      << " is expected";
}

/// The plan of image n; an Error for a partner outside of the batch, or a lambda outside of [0, 1].
template <typename Dtype>
MixupEntry PlanOf(const caffe::Blob<Dtype>& plan, int n) {
  const Dtype* line = plan.cpu_data() + kPlanNumbers * n;
  const double partner = line[0], lambda = line[1];
  ENFORCE(partner >= 0 && partner < plan.shape(0) && partner == std::floor(partner))
      << "the plan names image " << partner << " as partner of image " << n << " in a batch of "
      << plan.shape(0);
  ENFORCE(lambda >= 0 && lambda <= 1)
      << "the plan gives image " << n << " the share " << lambda << "; it must lie in [0, 1]";
  return {static_cast<int>(partner), lambda, static_cast<int>(line[2]), static_cast<int>(line[3])};
}

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_MIXUP_PLAN_HPP_

#include "caffe/solvers/update_rules.hpp"

#include "caffe/util/device_launch.hpp"

namespace caffe {

template <class Rule>
void ApplyOnGpu(int n, const Rule& rule) {
  ForEachIndex(n, rule);
}

#define INSTANTIATE_RULE(Rule)                              \
  template void ApplyOnGpu(int n, const Rule<float>& rule); \
  template void ApplyOnGpu(int n, const Rule<double>& rule)

INSTANTIATE_RULE(DecayL2);
INSTANTIATE_RULE(DecayL1);
INSTANTIATE_RULE(DecayTowards);
INSTANTIATE_RULE(SGDStep);
INSTANTIATE_RULE(NesterovStep);
INSTANTIATE_RULE(AdaGradStep);
INSTANTIATE_RULE(RMSPropStep);
INSTANTIATE_RULE(AdaDeltaStep);
INSTANTIATE_RULE(AdamStep);

}  // namespace caffe

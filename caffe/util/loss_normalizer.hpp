#ifndef CAFFE_UTIL_LOSS_NORMALIZER_HPP_
#define CAFFE_UTIL_LOSS_NORMALIZER_HPP_

#include <algorithm>

#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// What a loss over `outer` x `inner` positions, of which `valid` count, is divided by:
/// normalization VALID (the default) the positions that count, FULL all, BATCH_SIZE outer, NONE 1;
/// without it the older `normalize`: true VALID, false BATCH_SIZE. At least 1.
inline int LossNormalizer(const LossParameter& param, int outer, int inner, int valid) {
  auto mode = param.normalization();
  if (!param.has_normalization() && param.has_normalize()) {
    mode = param.normalize() ? LossParameter_NormalizationMode_VALID
                             : LossParameter_NormalizationMode_BATCH_SIZE;
  }
  int norm = 1;
  if (mode == LossParameter_NormalizationMode_VALID) norm = valid;
  if (mode == LossParameter_NormalizationMode_FULL) norm = outer * inner;
  if (mode == LossParameter_NormalizationMode_BATCH_SIZE) norm = outer;
  return std::max(norm, 1);
}

}  // namespace caffe

#endif  // CAFFE_UTIL_LOSS_NORMALIZER_HPP_

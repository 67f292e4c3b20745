#ifndef METAPERTURB_LAYERS_METAPERTURB_PARAM_HPP_
#define METAPERTURB_LAYERS_METAPERTURB_PARAM_HPP_

#include "caffe/proto/caffe.pb.h"
#include "caffe/proto/metaperturb.pb.h"

namespace metaperturb {

/// Whether this Caffe's LayerParameter has the field metaperturb_param.
#ifdef METAPERTURB_HAS_FIELD
constexpr bool kHasField = true;
#else
constexpr bool kHasField = false;
#endif

/// A MetaPerturb layer's parameters, from whichever field holds them:
///     metaperturb_param { phi: "phi.caffemodel" anneal_iter: 4000 }
///     python_param { param_str: "phi: 'phi.caffemodel' anneal_iter: 4000" }
/// The second is for a Caffe whose LayerParameter has no metaperturb_param; every Caffe reads it.
/// Throws caffe::Error for text that is no MetaPerturbParameter, and where both are given.
caffe::MetaPerturbParameter GetParam(const caffe::LayerParameter& layer);

/// Puts `param` into metaperturb_param, or with `as_param_str` into python_param.param_str. Throws
/// caffe::Error where this Caffe has no metaperturb_param.
void SetParam(const caffe::MetaPerturbParameter& param, bool as_param_str,
              caffe::LayerParameter* layer);

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_METAPERTURB_PARAM_HPP_

#ifndef METAPERTURB_LAYERS_INSERT_METAPERTURB_HPP_
#define METAPERTURB_LAYERS_INSERT_METAPERTURB_HPP_

#include <string>

#include "caffe/proto/caffe.pb.h"
#include "caffe/proto/metaperturb.pb.h"
#include "layers/metaperturb_param.hpp"

namespace metaperturb {

struct InsertOptions {
  caffe::MetaPerturbParameter param;  // of every inserted layer
  bool shared = false;                // name phi "phi", so that the meta-solver can learn it
  bool as_param_str = !kHasField;     // see metaperturb_param.hpp
};

/// Copies `net` with MetaPerturb layers where the paper has them: after the batch normalisation
/// (with its Scale) and before the ReLU;
///  - in a network with additions (Eltwise SUM, other than of predictions), after each addition:
///    once per residual block;
///  - else after every convolution's batch normalisation;
///  - in a network without batch normalisation, after every convolution.
/// The new layer NAME_mp has a top of the same name, which all later readers get instead. Returns
/// the number of inserted layers. Throws caffe::Error for a network without a place for them, or
/// with MetaPerturb layers already.
int InsertMetaPerturb(const caffe::NetParameter& net, const InsertOptions& options,
                      caffe::NetParameter* out);

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_INSERT_METAPERTURB_HPP_

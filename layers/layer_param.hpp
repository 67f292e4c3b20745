#ifndef METAPERTURB_LAYERS_LAYER_PARAM_HPP_
#define METAPERTURB_LAYERS_LAYER_PARAM_HPP_

#include "caffe/proto/caffe.pb.h"

namespace metaperturb {

// The parameters of this project's layers, a message per type, in either of two places:
//     cutout_param { length: 8 }
//     python_param { param_str: "length: 8" }
// The second is for a Caffe whose LayerParameter has no field of that message; every Caffe reads
// it.

/// Fills `param`. Throws caffe::Error for text that is no such message, and where both are given.
void ReadLayerParam(const caffe::LayerParameter& layer, google::protobuf::Message* param);

template <class Param>
Param LayerParam(const caffe::LayerParameter& layer) {
  Param param;
  ReadLayerParam(layer, &param);
  return param;
}

/// Puts `param` into its own field, or with `as_param_str` into python_param.param_str. Throws
/// caffe::Error where this Caffe has no such field.
void WriteLayerParam(const google::protobuf::Message& param, bool as_param_str,
                     caffe::LayerParameter* layer);

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_LAYER_PARAM_HPP_

#include "layers/metaperturb_param.hpp"

#include "layers/layer_param.hpp"

namespace metaperturb {

caffe::MetaPerturbParameter GetParam(const caffe::LayerParameter& layer) {
  return LayerParam<caffe::MetaPerturbParameter>(layer);
}

void SetParam(const caffe::MetaPerturbParameter& param, bool as_param_str,
              caffe::LayerParameter* layer) {
  WriteLayerParam(param, as_param_str, layer);
}

}  // namespace metaperturb

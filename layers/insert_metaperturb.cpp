#include "layers/insert_metaperturb.hpp"

#include "layers/insertion.hpp"
#include "util/error.hpp"

namespace metaperturb {

using caffe::LayerParameter;
using caffe::NetParameter;

int InsertMetaPerturb(const NetParameter& net, const InsertOptions& options, NetParameter* out) {
  for (const LayerParameter& layer : net.layer()) {
    ENFORCE(layer.type() != "MetaPerturb")
        << "layer '" << layer.name() << "' is a MetaPerturb layer already";
  }
  const std::map<int, int> places = PerturbationPlaces(net);
  ENFORCE(!places.empty()) << "the network has no convolution to put a MetaPerturb layer behind";
  NetCopy copy(net);
  for (int i = 0; i < net.layer_size(); ++i) {
    copy.Add(net.layer(i));
    const auto place = places.find(i);
    if (place == places.end()) continue;
    LayerParameter* mp = copy.AddBehind(i, place->second, "MetaPerturb", "_mp");
    if (options.shared) mp->add_param()->set_name("phi");
    SetParam(options.param, options.as_param_str, mp);
  }
  *out = copy.net();
  return static_cast<int>(places.size());
}

}  // namespace metaperturb

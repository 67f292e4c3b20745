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
    const LayerParameter& layer = *copy.Add(net.layer(i));
    const auto place = places.find(i);
    if (place == places.end()) continue;
    const std::string bottom = layer.top(0);
    LayerParameter* mp = copy.AddNew("MetaPerturb", layer.name() + "_mp");
    mp->add_bottom(bottom);
    mp->add_top(mp->name());
    if (SameRules(net.layer(i), net.layer(place->second))) {
      *mp->mutable_include() = net.layer(i).include();
      *mp->mutable_exclude() = net.layer(i).exclude();
    }
    if (options.shared) mp->add_param()->set_name("phi");
    SetParam(options.param, options.as_param_str, mp);
    copy.Redirect(net.layer(i).top(0), mp->name());
  }
  *out = copy.net();
  return static_cast<int>(places.size());
}

}  // namespace metaperturb

#include "layers/insert_metaperturb.hpp"

#include <map>
#include <set>

#include "caffe/common.hpp"

namespace metaperturb {

namespace {

using caffe::LayerParameter;
using caffe::NetParameter;
using std::string;

bool IsAddition(const LayerParameter& layer) {
  return layer.type() == "Eltwise" &&
         layer.eltwise_param().operation() == caffe::EltwiseParameter_EltwiseOp_SUM;
}

// Index of the last layer of the chain that begins at `first`: a Scale that follows a BatchNorm
// belongs to it.
int EndOfNormalisation(const NetParameter& net, int first) {
  const string& blob = net.layer(first).top(0);
  for (int i = first + 1; i < net.layer_size(); ++i) {
    const LayerParameter& layer = net.layer(i);
    if (layer.bottom_size() == 0 || layer.bottom(0) != blob) continue;
    return layer.type() == "Scale" && layer.bottom_size() == 1 ? i : first;
  }
  return first;
}

// Indices of the layers behind which a MetaPerturb layer belongs.
std::set<int> Places(const NetParameter& net) {
  std::set<int> additions, normalisations, convolutions;
  std::map<string, string> maker;  // type of the layer that made a blob last
  for (int i = 0; i < net.layer_size(); ++i) {
    const LayerParameter& layer = net.layer(i);
    if (IsAddition(layer)) additions.insert(i);
    if (layer.type() == "Convolution") convolutions.insert(i);
    if (layer.type() == "BatchNorm" && layer.bottom_size() > 0 &&
        maker[layer.bottom(0)] == "Convolution") {
      normalisations.insert(EndOfNormalisation(net, i));
    }
    for (const string& top : layer.top()) maker[top] = layer.type();
  }
  if (!additions.empty()) return additions;
  return normalisations.empty() ? convolutions : normalisations;
}

}  // namespace

int InsertMetaPerturb(const NetParameter& net, const InsertOptions& options, NetParameter* out) {
  for (const LayerParameter& layer : net.layer()) {
    ENFORCE(layer.type() != "MetaPerturb")
        << "layer '" << layer.name() << "' is a MetaPerturb layer already";
  }
  const std::set<int> places = Places(net);
  ENFORCE(!places.empty()) << "the network has no convolution to put a MetaPerturb layer behind";
  NetParameter result = net;
  result.clear_layer();
  std::map<string, string> renamed;  // blob of `net` -> what carries its value in the result
  for (int i = 0; i < net.layer_size(); ++i) {
    LayerParameter layer = net.layer(i);
    // In-place layers must stay in place, so both names follow the perturbed blob.
    const std::set<string> bottoms(layer.bottom().begin(), layer.bottom().end());
    for (string& bottom : *layer.mutable_bottom()) {
      const auto found = renamed.find(bottom);
      if (found != renamed.end()) bottom = found->second;
    }
    for (string& top : *layer.mutable_top()) {
      const auto found = renamed.find(top);
      if (found == renamed.end()) continue;
      if (bottoms.count(top)) {
        top = found->second;
      } else {
        renamed.erase(found);  // a new value under an old name
      }
    }
    *result.add_layer() = layer;
    if (!places.count(i)) continue;
    LayerParameter* mp = result.add_layer();
    mp->set_name(layer.name() + "_mp");
    mp->set_type("MetaPerturb");
    mp->add_bottom(layer.top(0));
    mp->add_top(mp->name());
    *mp->mutable_include() = layer.include();
    *mp->mutable_exclude() = layer.exclude();
    if (options.shared) mp->add_param()->set_name("phi");
    *mp->mutable_metaperturb_param() = options.param;
    renamed[net.layer(i).top(0)] = mp->name();
  }
  *out = result;
  return static_cast<int>(places.size());
}

}  // namespace metaperturb

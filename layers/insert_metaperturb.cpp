#include "layers/insert_metaperturb.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "layers/metaperturb_param.hpp"
#include "util/error.hpp"

namespace metaperturb {

namespace {

using caffe::LayerParameter;
using caffe::NetParameter;
using std::string;

bool IsAddition(const LayerParameter& layer) {
  return layer.type() == "Eltwise" &&
         layer.eltwise_param().operation() == caffe::EltwiseParameter_EltwiseOp_SUM;
}

bool Reads(const LayerParameter& layer, const string& blob) {
  return std::find(layer.bottom().begin(), layer.bottom().end(), blob) != layer.bottom().end();
}

// Whether a later layer with weights computes something from each layer's tops: sums of predictions
// or of losses are no residual blocks.
std::vector<bool> FeedsWeights(const NetParameter& net) {
  std::vector<bool> feeds(net.layer_size());
  std::set<string> wanted;
  for (int i = net.layer_size() - 1; i >= 0; --i) {
    const LayerParameter& layer = net.layer(i);
    for (const string& top : layer.top()) {
      if (wanted.count(top)) feeds[i] = true;
    }
    if (feeds[i] || layer.type() == "Convolution" || layer.type() == "InnerProduct") {
      for (const string& top : layer.top()) wanted.erase(top);
      wanted.insert(layer.bottom().begin(), layer.bottom().end());
    }
  }
  return feeds;
}

// Index of the last layer of the normalisation that begins at `first`: the Scale that follows
// belongs to it, and so does a second BatchNorm in place, where TRAIN and TEST have one each.
int EndOfNormalisation(const NetParameter& net, int first) {
  const string& blob = net.layer(first).top(0);
  int last = first;
  for (int i = first + 1; i < net.layer_size(); ++i) {
    const LayerParameter& layer = net.layer(i);
    if (!Reads(layer, blob)) continue;
    if (layer.type() == "Scale" && layer.bottom_size() == 1) return i;
    if (layer.type() != "BatchNorm" || layer.top(0) != blob) break;
    last = i;
  }
  return last;
}

// The layers behind which a MetaPerturb layer belongs, each with the first layer of its group.
std::map<int, int> Places(const NetParameter& net) {
  const std::vector<bool> feeds = FeedsWeights(net);
  std::map<int, int> additions, normalisations, convolutions;
  std::map<string, string> maker;  // type of the layer that made a blob last
  for (int i = 0; i < net.layer_size(); ++i) {
    const LayerParameter& layer = net.layer(i);
    if (layer.top_size() > 0) {
      if (IsAddition(layer) && feeds[i]) additions[i] = i;
      if (layer.type() == "Convolution") convolutions[i] = i;
      if (layer.type() == "BatchNorm" && layer.bottom_size() > 0 &&
          maker[layer.bottom(0)] == "Convolution") {
        normalisations[EndOfNormalisation(net, i)] = i;
      }
    }
    for (const string& top : layer.top()) maker[top] = layer.type();
  }
  if (convolutions.empty() || !additions.empty()) {
    return convolutions.empty() ? convolutions : additions;
  }
  return normalisations.empty() ? convolutions : normalisations;
}

bool SameRules(const LayerParameter& a, const LayerParameter& b) {
  const auto text = [](const LayerParameter& layer) {
    LayerParameter rules;
    *rules.mutable_include() = layer.include();
    *rules.mutable_exclude() = layer.exclude();
    return rules.SerializeAsString();
  };
  return text(a) == text(b);
}

}  // namespace

int InsertMetaPerturb(const NetParameter& net, const InsertOptions& options, NetParameter* out) {
  for (const LayerParameter& layer : net.layer()) {
    ENFORCE(layer.type() != "MetaPerturb")
        << "layer '" << layer.name() << "' is a MetaPerturb layer already";
  }
  const std::map<int, int> places = Places(net);
  ENFORCE(!places.empty()) << "the network has no convolution to put a MetaPerturb layer behind";
  NetParameter result = net;
  result.clear_layer();
  std::set<string> taken;
  for (const LayerParameter& layer : net.layer()) {
    taken.insert(layer.name());
    taken.insert(layer.top().begin(), layer.top().end());
  }
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
    const auto place = places.find(i);
    if (place == places.end()) continue;
    LayerParameter* mp = result.add_layer();
    mp->set_name(layer.name() + "_mp");
    while (taken.count(mp->name())) mp->set_name(mp->name() + "_");
    mp->set_type("MetaPerturb");
    mp->add_bottom(layer.top(0));
    mp->add_top(mp->name());
    if (SameRules(layer, net.layer(place->second))) {
      *mp->mutable_include() = layer.include();
      *mp->mutable_exclude() = layer.exclude();
    }
    if (options.shared) mp->add_param()->set_name("phi");
    SetParam(options.param, options.as_param_str, mp);
    renamed[net.layer(i).top(0)] = mp->name();
  }
  *out = result;
  return static_cast<int>(places.size());
}

}  // namespace metaperturb

#include "layers/insertion.hpp"

#include <algorithm>

namespace metaperturb {

using caffe::LayerParameter;
using caffe::NetParameter;
using std::string;

namespace {

bool IsAddition(const LayerParameter& layer) {
  return layer.type() == "Eltwise" &&
         layer.eltwise_param().operation() == caffe::EltwiseParameter_EltwiseOp_SUM;
}

bool Reads(const LayerParameter& layer, const string& blob) {
  return std::find(layer.bottom().begin(), layer.bottom().end(), blob) != layer.bottom().end();
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

bool HasWeights(const LayerParameter& layer) {
  return layer.type() == "Convolution" || layer.type() == "InnerProduct";
}

bool ReadsPredictions(const LayerParameter& layer) {
  const string& type = layer.type();
  return type.find("Loss") != string::npos || type == "Softmax" || type == "Accuracy";
}

// For each layer: whether a later one that `is_end` computes something from what it makes.
template <class IsEnd>
std::vector<bool> Feed(const NetParameter& net, const IsEnd& is_end) {
  std::vector<bool> feed(net.layer_size());
  std::set<string> wanted;
  for (int i = net.layer_size() - 1; i >= 0; --i) {
    const LayerParameter& layer = net.layer(i);
    for (const string& top : layer.top()) feed[i] = feed[i] || wanted.count(top);
    if (feed[i] || is_end(layer)) {
      for (const string& top : layer.top()) wanted.erase(top);
      wanted.insert(layer.bottom().begin(), layer.bottom().end());
    }
  }
  return feed;
}

}  // namespace

std::vector<bool> ResidualAdditions(const NetParameter& net) {
  std::vector<bool> additions = Feed(net, HasWeights);
  for (int i = 0; i < net.layer_size(); ++i) {
    additions[i] = additions[i] && IsAddition(net.layer(i));
  }
  return additions;
}

namespace {

// Layers of different phases that make the same blob, each anew, are one place: behind the last.
std::map<int, int> WithAlternativesMerged(const NetParameter& net, std::map<int, int> places) {
  for (auto place = places.begin(); place != places.end();) {
    const string& blob = net.layer(place->first).top(0);
    const auto touches = [&](const LayerParameter& layer) {
      const auto& tops = layer.top();
      return Reads(layer, blob) || std::find(tops.begin(), tops.end(), blob) != tops.end();
    };
    int next = place->first + 1;
    while (next < net.layer_size() && !touches(net.layer(next))) ++next;
    const auto other = places.find(next);
    if (other == places.end() || Reads(net.layer(next), blob)) {
      ++place;
      continue;
    }
    other->second = place->second;
    place = places.erase(place);
  }
  return places;
}

}  // namespace

std::map<int, int> PerturbationPlaces(const NetParameter& net) {
  const std::vector<bool> is_addition = ResidualAdditions(net), to_weights = Feed(net, HasWeights),
                          to_loss = Feed(net, ReadsPredictions);
  const auto is_feature = [&](int i) { return to_weights[i] || !to_loss[i]; };
  std::set<string> logits;
  for (const LayerParameter& layer : net.layer()) {
    if (layer.type() == "InformationDropout" && layer.bottom_size() > 1) {
      logits.insert(layer.bottom(1));
    }
  }
  std::map<int, int> additions, normalisations, convolutions;
  std::map<string, string> maker;  // type of the layer that made a blob last
  for (int i = 0; i < net.layer_size(); ++i) {
    const LayerParameter& layer = net.layer(i);
    if (layer.top_size() > 0) {
      if (is_addition[i]) additions[i] = i;
      if (layer.type() == "Convolution" && is_feature(i) && !logits.count(layer.top(0))) {
        convolutions[i] = i;
      }
      if (layer.type() == "BatchNorm" && layer.bottom_size() > 0 &&
          maker[layer.bottom(0)] == "Convolution") {
        const int end = EndOfNormalisation(net, i);
        if (is_feature(end)) normalisations[end] = i;
      }
    }
    for (const string& top : layer.top()) maker[top] = layer.type();
  }
  if (convolutions.empty()) return convolutions;
  return WithAlternativesMerged(net, !additions.empty()        ? additions
                                     : !normalisations.empty() ? normalisations
                                                               : convolutions);
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

void Connect(LayerParameter* layer, const std::vector<string>& bottoms, const string& top) {
  for (const string& bottom : bottoms) layer->add_bottom(bottom);
  layer->add_top(top);
}

void CopyRules(const LayerParameter& from, LayerParameter* to) {
  *to->mutable_include() = from.include();
  *to->mutable_exclude() = from.exclude();
}

NetCopy::NetCopy(const NetParameter& net) : original_(net), result_(net) {
  result_.clear_layer();
  for (const LayerParameter& layer : net.layer()) {
    taken_.insert(layer.name());
    taken_.insert(layer.top().begin(), layer.top().end());
  }
}

LayerParameter* NetCopy::Add(const LayerParameter& original) {
  LayerParameter* layer = result_.add_layer();
  *layer = original;
  // In-place layers must stay in place, so both names follow the new blob.
  const std::set<string> bottoms(original.bottom().begin(), original.bottom().end());
  for (string& bottom : *layer->mutable_bottom()) bottom = Present(bottom);
  for (string& top : *layer->mutable_top()) {
    const auto found = renamed_.find(top);
    if (found == renamed_.end()) continue;
    if (bottoms.count(top)) {
      top = found->second;
    } else {
      renamed_.erase(found);  // a new value under an old name
    }
  }
  return layer;
}

LayerParameter* NetCopy::AddNew(const string& type, const string& name) {
  LayerParameter* layer = result_.add_layer();
  layer->set_type(type);
  layer->set_name(name);
  while (!taken_.insert(layer->name()).second) layer->set_name(layer->name() + "_");
  return layer;
}

LayerParameter* NetCopy::AddBehind(int place, int first, const string& type, const string& suffix,
                                   const std::vector<string>& more_bottoms) {
  const LayerParameter& before = original_.layer(place);
  LayerParameter* layer = AddNew(type, before.name() + suffix);
  std::vector<string> bottoms = {Present(before.top(0))};
  bottoms.insert(bottoms.end(), more_bottoms.begin(), more_bottoms.end());
  Connect(layer, bottoms, layer->name());
  if (SameRules(before, original_.layer(first))) CopyRules(before, layer);
  Redirect(before.top(0), layer->name());
  return layer;
}

void NetCopy::Redirect(const string& blob, const string& name) {
  renamed_[blob] = name;
}

string NetCopy::Present(const string& blob) const {
  const auto found = renamed_.find(blob);
  return found == renamed_.end() ? blob : found->second;
}

}  // namespace metaperturb

#include "layers/insert_regularizer.hpp"

#include <algorithm>
#include <functional>

#include "layers/insertion.hpp"
#include "layers/layer_param.hpp"
#include "util/error.hpp"

namespace metaperturb {

namespace {

using caffe::LayerParameter;
using caffe::NetParameter;
using google::protobuf::Message;
using std::string;

bool InTrain(const LayerParameter& layer) {
  const auto names_train = [](const caffe::NetStateRule& rule) {
    return !rule.has_phase() || rule.phase() == caffe::TRAIN;
  };
  if (layer.include_size() > 0) {
    return std::any_of(layer.include().begin(), layer.include().end(), names_train);
  }
  return std::none_of(layer.exclude().begin(), layer.exclude().end(),
                      [](const caffe::NetStateRule& rule) {
                        return rule.has_phase() && rule.phase() == caffe::TRAIN;
                      });
}

// Where the images come from.
struct Source {
  string images, labels;
  int last;                     // the last layer that makes them
  const LayerParameter* rules;  // whose rules the layers behind it need; null: none
};

Source FindSource(const NetParameter& net, bool with_labels) {
  Source source = {"", "", -1, nullptr};
  int makers = 0;
  for (int i = 0; i < net.layer_size(); ++i) {
    const LayerParameter& layer = net.layer(i);
    if (layer.bottom_size() > 0 || layer.top_size() == 0) continue;
    if (source.images.empty() && InTrain(layer)) {
      source.images = layer.top(0);
      if (layer.top_size() > 1) source.labels = layer.top(1);
      source.rules = &layer;
    }
  }
  ENFORCE(!source.images.empty()) << "the network has no data layer for TRAIN";
  ENFORCE(!with_labels || !source.labels.empty())
      << "layer '" << source.rules->name() << "' (" << source.rules->type()
      << ") makes no labels as its second top";
  for (int i = 0; i < net.layer_size(); ++i) {
    const LayerParameter& layer = net.layer(i);
    if (layer.bottom_size() > 0 || layer.top_size() == 0) continue;
    if (layer.top(0) != source.images) continue;
    ENFORCE(!with_labels || (layer.top_size() > 1 && layer.top(1) == source.labels))
        << "layer '" << layer.name() << "' (" << layer.type() << ") makes the images '"
        << source.images << "' but not the labels '" << source.labels
        << "' as its second top, which the others make";
    source.last = i;
    ++makers;
  }
  if (makers > 1) source.rules = nullptr;
  return source;
}

// The ReLU that reads what layer `place` made, perhaps through another perturbation; -1: none.
int ReluBehind(const NetParameter& net, int place) {
  string blob = net.layer(place).top(0);
  for (int i = place + 1; i < net.layer_size(); ++i) {
    const LayerParameter& layer = net.layer(i);
    const bool reads =
        std::find(layer.bottom().begin(), layer.bottom().end(), blob) != layer.bottom().end();
    if (reads && layer.type() == "ReLU") return i;
    if (reads &&
        (layer.type() == "MetaPerturb" || layer.type() == "DropBlock" || layer.type() == "Mixup")) {
      blob = layer.top(0);
    } else if (std::find(layer.top().begin(), layer.top().end(), blob) != layer.top().end()) {
      return -1;
    }
  }
  return -1;
}

// Where the features of ReLU `relu` go through a maximum, and nowhere else, that pooling layer;
// otherwise the ReLU. The paper's networks have the noise behind what reduces the image, too; and
// the maximum of noisy values exceeds that of their means, which is what TEST computes.
int MaximumBehind(const NetParameter& net, int relu) {
  const string& blob = net.layer(relu).top(0);
  int pooling = -1;
  for (int i = relu + 1; i < net.layer_size(); ++i) {
    const LayerParameter& layer = net.layer(i);
    if (std::find(layer.bottom().begin(), layer.bottom().end(), blob) == layer.bottom().end()) {
      continue;
    }
    const caffe::PoolingParameter& param = layer.pooling_param();
    if (pooling >= 0 || layer.type() != "Pooling" || param.global_pooling() ||
        param.pool() != caffe::PoolingParameter_PoolMethod_MAX) {
      return relu;
    }
    pooling = i;
  }
  return pooling >= 0 ? pooling : relu;
}

class Inserter {
 public:
  Inserter(const NetParameter& net, const RegularizerOptions& options)
      : net_(net), options_(options), copy_(net) {}

  const NetParameter& result() const { return copy_.net(); }

  int DropBlock() {
    Refuse("DropBlock");
    const std::map<int, int> places = Places("DropBlock");
    for (int i = 0; i < net_.layer_size(); ++i) {
      copy_.Add(net_.layer(i));
      const auto place = places.find(i);
      if (place == places.end()) continue;
      LayerParameter* layer = copy_.AddBehind(i, place->second, "DropBlock", "_db");
      WriteLayerParam(options_.dropblock, options_.as_param_str, layer);
    }
    return static_cast<int>(places.size());
  }

  int InformationDropout() {
    Refuse("InformationDropout");
    std::set<int> places;
    for (const auto& place : PerturbationPlaces(net_)) {
      const int relu = ReluBehind(net_, place.first);
      if (relu >= 0) places.insert(MaximumBehind(net_, relu));
    }
    ENFORCE(!places.empty()) << "the network has no convolution with a ReLU behind it";
    const std::map<int, int> channels = Channels();
    caffe::InformationDropoutParameter param = options_.information_dropout;
    if (!param.has_test_mean()) param.set_test_mean(HasBatchNorm());
    for (int i = 0; i < net_.layer_size(); ++i) {
      copy_.Add(net_.layer(i));
      if (!places.count(i)) continue;
      const string x = copy_.Present(net_.layer(i).top(0));
      ENFORCE(channels.at(i) > 0) << "layer '" << net_.layer(i).name()
                                  << "': its number of channels cannot be told";
      LayerParameter* logits = copy_.AddNew("Convolution", net_.layer(i).name() + "_alpha");
      Connect(logits, {x}, logits->name());
      CopyRules(net_.layer(i), logits);
      caffe::ConvolutionParameter* conv = logits->mutable_convolution_param();
      conv->set_num_output(channels.at(i));
      conv->add_kernel_size(1);
      conv->mutable_weight_filler()->set_type("xavier");
      const string logits_name = logits->name();
      LayerParameter* layer = copy_.AddBehind(i, i, "InformationDropout", "_id", {logits_name});
      layer->add_top(layer->name() + "_kl");
      layer->add_loss_weight(0);
      layer->add_loss_weight(static_cast<float>(options_.kl_weight));
      WriteLayerParam(param, options_.as_param_str, layer);
    }
    return static_cast<int>(places.size());
  }

  int Cutout() {
    Refuse("Cutout");
    const Source source = FindSource(net_, false);
    for (int i = 0; i < net_.layer_size(); ++i) {
      copy_.Add(net_.layer(i));
      if (i != source.last) continue;
      LayerParameter* layer = BehindSource(source, "Cutout", source.images + "_cutout", {});
      WriteLayerParam(options_.cutout, options_.as_param_str, layer);
    }
    return 1;
  }

  // positions = 1: at the data alone.
  int Mixup(double alpha, int positions) {
    Refuse("Mixup");
    const Source source = FindSource(net_, true);
    std::map<int, int> places;  // without the data
    if (positions > 1) {
      for (const auto& place : Places("Mixup")) {
        if (static_cast<int>(places.size()) + 1 < positions) places.insert(place);
      }
    }
    int position = 0;
    string plan;
    int losses = 0;
    for (int i = 0; i < net_.layer_size(); ++i) {
      LayerParameter* added = copy_.Add(net_.layer(i));
      if (IsLoss(*added)) {
        ENFORCE(!plan.empty()) << "layer '" << added->name() << "' comes before the data";
        ENFORCE(added->bottom_size() == 2) << "layer '" << added->name() << "' has a plan already";
        SoftTargets(added, 0);
        added->add_bottom(plan);
        ++losses;
      }
      if (i == source.last) {
        LayerParameter* layer = copy_.AddNew("MixupPlan", "mixup_plan");
        Connect(layer, {copy_.Present(source.labels)}, layer->name());
        if (source.rules) CopyRules(*source.rules, layer);
        caffe::MixupPlanParameter param;
        param.set_alpha(static_cast<float>(alpha));
        if (!places.empty()) param.set_positions(static_cast<uint32_t>(places.size() + 1));
        WriteLayerParam(param, options_.as_param_str, layer);
        plan = layer->name();
        BehindSource(source, "Mixup", source.images + "_mixup", {plan});
      }
      const auto place = places.find(i);
      if (place == places.end()) continue;
      caffe::MixupParameter param;
      param.set_position(static_cast<uint32_t>(++position));
      WriteLayerParam(param, options_.as_param_str,
                      copy_.AddBehind(i, place->second, "Mixup", "_mixup", {plan}));
    }
    ENFORCE(losses > 0) << "the network has no SoftmaxWithLoss for TRAIN, whose targets are to be "
                           "mixed";
    return static_cast<int>(places.size()) + 1;
  }

  int LabelSmoothing() {
    int losses = 0;
    for (const LayerParameter& layer : net_.layer()) {
      LayerParameter* added = copy_.Add(layer);
      if (!IsLoss(*added)) continue;
      SoftTargets(added, options_.label_smoothing);
      ++losses;
    }
    ENFORCE(losses > 0) << "the network has no SoftmaxWithLoss for TRAIN, whose targets are to be "
                           "smoothed";
    return losses;
  }

  int StochasticDepth() {
    Refuse("StochasticDepth");
    const std::vector<bool> is_addition = ResidualAdditions(net_);
    const int blocks = static_cast<int>(std::count(is_addition.begin(), is_addition.end(), true));
    ENFORCE(blocks > 0) << "the network has no residual block (an Eltwise SUM)";
    std::map<string, int> depth;  // of the network's blobs: layers with weights on the way to it
    int block = 0;
    for (int i = 0; i < net_.layer_size(); ++i) {
      const LayerParameter& layer = net_.layer(i);
      int deepest = 0, branch = 0, as_deep = 0;
      for (int b = 0; b < layer.bottom_size(); ++b) {
        const int here = depth[layer.bottom(b)];
        as_deep = here == deepest ? as_deep + 1 : here > deepest ? 1 : as_deep;
        if (here > deepest) branch = b;
        deepest = std::max(deepest, here);
      }
      const bool has_weights = layer.type() == "Convolution" || layer.type() == "InnerProduct";
      for (const string& top : layer.top()) depth[top] = deepest + has_weights;
      if (!is_addition[i]) {
        copy_.Add(layer);
        continue;
      }
      ENFORCE(as_deep == 1) << "layer '" << layer.name() << "' (" << layer.type()
                            << "): which of its inputs is the residual branch cannot be told, "
                            << as_deep << " of them have " << deepest
                            << " layers with weights before them";
      LayerParameter* drop = copy_.AddNew("StochasticDepth", layer.name() + "_sd");
      Connect(drop, {copy_.Present(layer.bottom(branch))}, drop->name());
      CopyRules(layer, drop);
      caffe::StochasticDepthParameter param;
      const double share = double(++block) / blocks;
      param.set_survival_prob(static_cast<float>(1 - share * (1 - options_.survival_prob)));
      WriteLayerParam(param, options_.as_param_str, drop);
      const string name = drop->name();
      copy_.Add(layer)->set_bottom(branch, name);
    }
    return blocks;
  }

 private:
  void Refuse(const string& type) const {
    for (const LayerParameter& layer : net_.layer()) {
      ENFORCE(layer.type() != type)
          << "layer '" << layer.name() << "' is a " << type << " layer already";
    }
  }

  bool HasBatchNorm() const {
    return std::any_of(net_.layer().begin(), net_.layer().end(),
                       [](const LayerParameter& layer) { return layer.type() == "BatchNorm"; });
  }

  std::map<int, int> Places(const string& type) const {
    const std::map<int, int> places = PerturbationPlaces(net_);
    ENFORCE(!places.empty()) << "the network has no convolution to put a " << type
                             << " layer behind";
    return places;
  }

  LayerParameter* BehindSource(const Source& source, const string& type, const string& name,
                               const std::vector<string>& more_bottoms) {
    LayerParameter* layer = copy_.AddNew(type, name);
    std::vector<string> bottoms = {copy_.Present(source.images)};
    bottoms.insert(bottoms.end(), more_bottoms.begin(), more_bottoms.end());
    Connect(layer, bottoms, layer->name());
    if (source.rules) CopyRules(*source.rules, layer);
    copy_.Redirect(source.images, layer->name());
    return layer;
  }

  static bool IsLoss(const LayerParameter& layer) {
    return (layer.type() == "SoftmaxWithLoss" || layer.type() == "SoftTargetLoss") &&
           InTrain(layer);
  }

  // label_smoothing 0 leaves it as it is.
  void SoftTargets(LayerParameter* layer, double label_smoothing) {
    caffe::SoftTargetLossParameter param;
    if (layer->type() == "SoftTargetLoss") {
      param = LayerParam<caffe::SoftTargetLossParameter>(*layer);
    }
    ENFORCE(label_smoothing == 0 || param.label_smoothing() == 0)
        << "layer '" << layer->name() << "' smooths its labels already";
    layer->set_type("SoftTargetLoss");
    if (label_smoothing == 0) return;
    param.set_label_smoothing(static_cast<float>(label_smoothing));
    layer->clear_python_param();
    WriteLayerParam(param, options_.as_param_str, layer);
  }

  // Per layer, the channels of its first top, as far as convolutions and fully connected layers
  // tell.
  std::map<int, int> Channels() const {
    std::map<string, int> of_blob;
    std::map<int, int> channels;
    for (int i = 0; i < net_.layer_size(); ++i) {
      const LayerParameter& layer = net_.layer(i);
      int count = layer.bottom_size() > 0 ? of_blob[layer.bottom(0)] : 0;
      if (layer.type() == "Convolution") {
        count = static_cast<int>(layer.convolution_param().num_output());
      } else if (layer.type() == "InnerProduct") {
        count = static_cast<int>(layer.inner_product_param().num_output());
      } else if (layer.type() == "Concat") {
        count = 0;
        for (const string& bottom : layer.bottom()) count += of_blob[bottom];
      }
      for (const string& top : layer.top()) of_blob[top] = count;
      channels[i] = count;
    }
    return channels;
  }

  const NetParameter& net_;
  const RegularizerOptions& options_;
  NetCopy copy_;
};

}  // namespace

std::vector<string> RegularizerNames() {
  return {"cutout",         "dropblock", "information_dropout", "label_smoothing",
          "manifold_mixup", "mixup",     "stochastic_depth"};
}

int InsertRegularizer(const NetParameter& net, const RegularizerOptions& options,
                      NetParameter* out) {
  Inserter inserter(net, options);
  const double alpha = options.mixup_alpha;
  const std::map<string, std::function<int()>> types = {
      {"cutout", [&] { return inserter.Cutout(); }},
      {"dropblock", [&] { return inserter.DropBlock(); }},
      {"information_dropout", [&] { return inserter.InformationDropout(); }},
      {"label_smoothing", [&] { return inserter.LabelSmoothing(); }},
      {"manifold_mixup", [&] { return inserter.Mixup(alpha > 0 ? alpha : 2, options.positions); }},
      {"mixup", [&] { return inserter.Mixup(alpha > 0 ? alpha : 1, 1); }},
      {"stochastic_depth", [&] { return inserter.StochasticDepth(); }}};
  const auto found = types.find(options.type);
  ENFORCE(found != types.end()) << "unknown regularizer '" << options.type << "'";
  const int count = found->second();
  *out = inserter.result();
  return count;
}

}  // namespace metaperturb

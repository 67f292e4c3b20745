// How a Net is built from its definition.

#include <algorithm>
#include <iomanip>

#include "caffe/net.hpp"
#include "caffe/util/check_param.hpp"
#include "caffe/util/insert_splits.hpp"

namespace caffe {

template <typename Dtype>
bool Net<Dtype>::StateMeetsRule(const NetState& state, const NetStateRule& rule,
                                const string& layer_name) {
  const auto has_stage = [&state](const string& stage) {
    return std::find(state.stage().begin(), state.stage().end(), stage) != state.stage().end();
  };
  const char* reason = nullptr;
  if (rule.has_phase() && rule.phase() != state.phase()) reason = "phase";
  if (rule.has_min_level() && state.level() < rule.min_level()) reason = "min_level";
  if (rule.has_max_level() && state.level() > rule.max_level()) reason = "max_level";
  for (const string& stage : rule.stage()) {
    if (!has_stage(stage)) reason = "stage";
  }
  for (const string& stage : rule.not_stage()) {
    if (has_stage(stage)) reason = "not_stage";
  }
  if (reason) VLOG(1) << "Layer " << layer_name << ": rule does not hold because of " << reason;
  return reason == nullptr;
}

template <typename Dtype>
void Net<Dtype>::FilterNet(const NetParameter& param, NetParameter* param_filtered) {
  const NetState& state = param.state();
  NetParameter result = param;
  result.clear_layer();
  for (const LayerParameter& layer : param.layer()) {
    ENFORCE(layer.include_size() == 0 || layer.exclude_size() == 0)
        << "layer '" << layer.name() << "' (" << layer.type()
        << "): has both include and exclude rules; give one kind";
    const auto holds = [&](const NetStateRule& rule) {
      return StateMeetsRule(state, rule, layer.name());
    };
    const bool included = layer.include_size() > 0
                              ? std::any_of(layer.include().begin(), layer.include().end(), holds)
                              : std::none_of(layer.exclude().begin(), layer.exclude().end(), holds);
    if (included) *result.add_layer() = layer;
  }
  *param_filtered = result;
}

template <typename Dtype>
void Net<Dtype>::Init(const NetParameter& in_param) {
  phase_ = in_param.state().phase();
  name_ = in_param.name();
  debug_info_ = in_param.debug_info();
  NetParameter filtered, param;
  FilterNet(in_param, &filtered);
  InsertSplits(filtered, &param);

  set<string> available;
  for (int i = 0; i < param.layer_size(); ++i) {
    if (!param.layer(i).has_phase()) param.mutable_layer(i)->set_phase(phase_);
    AppendLayer(param, i, &available, &blob_names_index_);
  }
  PruneBackward(param.force_backward());
  FuseLayers();
  if (Caffe::root_solver()) WarnOfLostOutputs();
  ShareDiffs();
  for (const string& blob : available) {
    net_output_blobs_.push_back(blobs_[blob_names_index_[blob]].get());
    net_output_blob_indices_.push_back(blob_names_index_[blob]);
  }
  // Of several layers of a name the one with parameters is found, which are stored by it; else the
  // last.
  for (size_t i = 0; i < layer_names_.size(); ++i) {
    int& found = layer_names_index_.emplace(layer_names_[i], static_cast<int>(i)).first->second;
    if (layers_[found]->blobs().empty()) found = static_cast<int>(i);
  }
  ShareWeights();
  if (Caffe::root_solver()) LogTable();
}

template <typename Dtype>
void Net<Dtype>::AppendLayer(const NetParameter& param, int layer_id, set<string>* available,
                             BlobIndex* blob_index) {
  const LayerParameter& layer_param = param.layer(layer_id);
  const string where = "layer '" + layer_param.name() + "' (" + layer_param.type() + "): ";
  ENFORCE(layer_param.propagate_down_size() == 0 ||
          layer_param.propagate_down_size() == layer_param.bottom_size())
      << where << "propagate_down is given " << layer_param.propagate_down_size() << " times for "
      << layer_param.bottom_size() << " bottom(s)";
  try {
    CheckParam(layer_param);
    layers_.push_back(LayerRegistry<Dtype>::CreateLayer(layer_param));
  } catch (const Error& e) {
    throw Error(where + e.what());
  }
  Layer<Dtype>* layer = layers_.back().get();
  layer_names_.push_back(layer_param.name());
  bottom_vecs_.emplace_back();
  bottom_id_vecs_.emplace_back();
  bottom_need_backward_.emplace_back();
  top_vecs_.emplace_back();
  top_id_vecs_.emplace_back();
  param_id_vecs_.emplace_back();

  bool need_backward = false;
  for (int j = 0; j < layer_param.bottom_size(); ++j) {
    AppendBottom(param, layer_id, j, available, blob_index);
    need_backward |= blob_need_backward_[bottom_id_vecs_[layer_id][j]];
  }
  for (int j = 0; j < layer_param.top_size(); ++j) {
    const string& top = layer_param.top(j);
    const bool in_place = j < layer_param.bottom_size() && top == layer_param.bottom(j);
    AppendTop(layer_param, layer_id, top, in_place, available, blob_index);
    if (layer_param.type() == "Input") {
      net_input_blob_indices_.push_back(static_cast<int>(blobs_.size()) - 1);
      net_input_blobs_.push_back(blobs_.back().get());
    }
  }
  if (layer->AutoTopBlobs()) {
    const int needed = std::max(layer->MinTopBlobs(), layer->ExactNumTopBlobs());
    for (int j = layer_param.top_size(); j < needed; ++j) {
      AppendTop(layer_param, layer_id, "(automatic)", false, nullptr, nullptr);
    }
  }

  InLayer(layer_id, [&] { layer->SetUp(bottom_vecs_[layer_id], top_vecs_[layer_id]); });
  for (size_t j = 0; j < top_vecs_[layer_id].size(); ++j) {
    const size_t id = top_id_vecs_[layer_id][j];
    if (blob_loss_weights_.size() <= id) blob_loss_weights_.resize(id + 1, Dtype(0));
    blob_loss_weights_[id] = layer->loss(static_cast<int>(j));
  }

  const int num_params = static_cast<int>(layer->blobs().size());
  const int num_specs = layer->layer_param().param_size();
  // Weights are stored, and shared with the test nets, by the layer's name.
  for (int i = 0; i < layer_id && num_params > 0; ++i) {
    ENFORCE(layers_[i]->blobs().empty() || layer_names_[i] != layer_param.name())
        << where << "an earlier layer with parameters has the same name";
  }
  ENFORCE(num_specs <= num_params) << where << "has " << num_specs << " param entries for "
                                   << num_params << " parameter blob(s)";
  for (int j = 0; j < num_params; ++j) {
    const bool learns = j >= num_specs || layer->layer_param().param(j).lr_mult() != 0;
    need_backward |= learns;
    layer->set_param_propagate_down(j, learns);
  }
  for (int j = 0; j < num_params; ++j) InLayer(layer_id, [&] { AppendParam(layer_id, j); });
  layer_need_backward_.push_back(need_backward);
  for (int id : top_id_vecs_[layer_id]) {
    if (need_backward) blob_need_backward_[id] = true;
  }
}

template <typename Dtype>
void Net<Dtype>::AppendTop(const LayerParameter& layer, int layer_id, const string& blob_name,
                           bool in_place, set<string>* available, BlobIndex* blob_index) {
  int id;
  if (in_place) {
    id = blob_index->at(blob_name);
  } else {
    ENFORCE(!blob_index || !blob_index->count(blob_name))
        << "layer '" << layer.name() << "' (" << layer.type() << "): top '" << blob_name
        << "' is already made by an earlier layer, and is not this layer's bottom of the same "
           "number, which it could replace";
    id = static_cast<int>(blobs_.size());
    blobs_.emplace_back(new Blob<Dtype>());
    blob_names_.push_back(blob_name);
    blob_need_backward_.push_back(false);
    if (blob_index) (*blob_index)[blob_name] = id;
  }
  top_id_vecs_[layer_id].push_back(id);
  top_vecs_[layer_id].push_back(blobs_[id].get());
  if (available) available->insert(blob_name);
}

template <typename Dtype>
void Net<Dtype>::AppendBottom(const NetParameter& param, int layer_id, int bottom_id,
                              set<string>* available, BlobIndex* blob_index) {
  const LayerParameter& layer = param.layer(layer_id);
  const string& blob_name = layer.bottom(bottom_id);
  const bool taken = available->erase(blob_name) > 0;
  CHECK(taken) << "InsertSplits left bottom '" << blob_name << "' with two readers";
  const int id = blob_index->at(blob_name);
  bottom_vecs_[layer_id].push_back(blobs_[id].get());
  bottom_id_vecs_[layer_id].push_back(id);
  bool need_backward = blob_need_backward_[id];
  if (layer.propagate_down_size() > 0) need_backward = layer.propagate_down(bottom_id);
  bottom_need_backward_[layer_id].push_back(need_backward);
}

template <typename Dtype>
void Net<Dtype>::AppendParam(int layer_id, int param_id) {
  Layer<Dtype>* layer = layers_[layer_id].get();
  const LayerParameter& layer_param = layer->layer_param();
  const ParamSpec spec =
      param_id < layer_param.param_size() ? layer_param.param(param_id) : ParamSpec();
  Blob<Dtype>* blob = layer->blobs()[param_id].get();
  const int net_param_id = static_cast<int>(params_.size());
  params_.push_back(layer->blobs()[param_id]);
  param_id_vecs_[layer_id].push_back(net_param_id);
  param_layer_indices_.emplace_back(layer_id, param_id);
  param_display_names_.push_back(spec.name().empty() ? std::to_string(param_id) : spec.name());

  const auto owner =
      spec.name().empty() ? param_names_index_.end() : param_names_index_.find(spec.name());
  if (owner == param_names_index_.end()) {
    if (!spec.name().empty()) param_names_index_[spec.name()] = net_param_id;
    param_owners_.push_back(-1);
    learnable_param_ids_.push_back(static_cast<int>(learnable_params_.size()));
    learnable_params_.push_back(blob);
    has_params_lr_.push_back(spec.has_lr_mult());
    has_params_decay_.push_back(spec.has_decay_mult());
    params_lr_.push_back(spec.lr_mult());
    params_weight_decay_.push_back(spec.decay_mult());
    return;
  }

  const int owner_id = owner->second;
  param_owners_.push_back(owner_id);
  const int owner_layer = param_layer_indices_[owner_id].first;
  const Blob<Dtype>& owner_blob = *params_[owner_id];
  const bool permissive = spec.share_mode() == ParamSpec_DimCheckMode_PERMISSIVE;
  const bool fits =
      permissive ? blob->count() == owner_blob.count() : blob->shape() == owner_blob.shape();
  ENFORCE(fits) << "parameter '" << spec.name() << "' has shape " << blob->shape_string()
                << " here and " << owner_blob.shape_string() << " in layer '"
                << layer_names_[owner_layer] << "', which it is shared with";
  const int learnable = learnable_param_ids_[owner_id];
  learnable_param_ids_.push_back(learnable);
  // The sharers may state a multiplier; all who do must agree.
  const auto merge = [&](const char* what, bool stated, float value, vector<bool>* has,
                         vector<float>* values) {
    if (!stated) return;
    ENFORCE(!(*has)[learnable] || (*values)[learnable] == value)
        << "parameter '" << spec.name() << "' is shared with " << what << " " << value
        << " here and " << (*values)[learnable] << " before";
    (*has)[learnable] = true;
    (*values)[learnable] = value;
  };
  merge("lr_mult", spec.has_lr_mult(), spec.lr_mult(), &has_params_lr_, &params_lr_);
  merge("decay_mult", spec.has_decay_mult(), spec.decay_mult(), &has_params_decay_,
        &params_weight_decay_);
}

// Walks from the losses back: a layer takes part in the backward pass when a loss depends on it and
// a gradient is wanted at or before it.
template <typename Dtype>
void Net<Dtype>::PruneBackward(bool force_backward) {
  set<int> under_loss, skipped;
  for (int i = static_cast<int>(layers_.size()) - 1; i >= 0; --i) {
    bool contributes = false, wanted = false;
    for (size_t j = 0; j < top_id_vecs_[i].size(); ++j) {
      const int id = top_id_vecs_[i][j];
      contributes |= layers_[i]->loss(static_cast<int>(j)) != 0 || under_loss.count(id) > 0;
      wanted |= !skipped.count(id);
    }
    if (!contributes || !wanted) {
      layer_need_backward_[i] = false;
      std::fill(bottom_need_backward_[i].begin(), bottom_need_backward_[i].end(), false);
    }
    for (size_t j = 0; j < bottom_id_vecs_[i].size(); ++j) {
      const int id = bottom_id_vecs_[i][j];
      if (contributes) {
        under_loss.insert(id);
      } else {
        bottom_need_backward_[i][j] = false;
      }
      if (!bottom_need_backward_[i][j]) skipped.insert(id);
    }
  }
  if (!force_backward) return;
  for (size_t i = 0; i < layers_.size(); ++i) {
    layer_need_backward_[i] = true;
    for (size_t j = 0; j < bottom_id_vecs_[i].size(); ++j) {
      const bool allowed = layers_[i]->AllowForceBackward(static_cast<int>(j));
      bottom_need_backward_[i][j] = bottom_need_backward_[i][j] || allowed;
      const int id = bottom_id_vecs_[i][j];
      blob_need_backward_[id] = blob_need_backward_[id] || bottom_need_backward_[i][j];
    }
    for (size_t j = 0; j < layers_[i]->blobs().size(); ++j) {
      layers_[i]->set_param_propagate_down(static_cast<int>(j), true);
    }
  }
}

// A layer may take over the layers after it that work in place on its only top. A layer whose top
// has a loss weight is left alone: its loss is taken when it has run. So is one that passes no
// gradient down: the leader's backward pass cannot stop in the middle.
template <typename Dtype>
void Net<Dtype>::FuseLayers() {
  const int count = static_cast<int>(layers_.size());
  for (int i = 0; i < count; ++i) computed_by_.push_back(i);
  for (int leader = 0; leader < count; ++leader) {
    if (computed_by_[leader] != leader || top_id_vecs_[leader].size() != 1) continue;
    const vector<int>& top = top_id_vecs_[leader];
    for (int next = leader + 1; next < count; ++next) {
      if (bottom_id_vecs_[next] != top || top_id_vecs_[next] != top) break;
      if (blob_loss_weights_[top[0]] != 0) break;
      const LayerParameter& param = layers_[next]->layer_param();
      if (param.propagate_down_size() > 0 && !param.propagate_down(0)) break;
      if (!layers_[leader]->Absorb(layers_[next].get())) break;
      computed_by_[next] = leader;
      layers_[next]->set_absorbed();
      if (layer_need_backward_[next]) layer_need_backward_[leader] = true;
      VLOG(1) << "Layer " << layer_names_[leader] << " computes " << layer_names_[next] << ", too";
    }
  }
}

// What a layer wrote in place, and its Backward computes from, must still be there.
template <typename Dtype>
void Net<Dtype>::WarnOfLostOutputs() const {
  // They put zeros, whose gradient is zero, too, or positive multiples in the place of values.
  const set<string> keep_signs = {"Cutout", "DropBlock", "Dropout", "ReLU", "StochasticDepth"};
  const int count = static_cast<int>(layers_.size());
  for (int i = 0; i < count; ++i) {
    const vector<int>& top = top_id_vecs_[i];
    const int leader = computed_by_[i];
    if (!layer_need_backward_[leader] || top.size() != 1) continue;
    const bool in_place = bottom_id_vecs_[i] == top;
    if (!layers_[i]->BackwardReadsItsOutput()) continue;
    if (!in_place && !layers_[i]->BackwardReadsTop()) continue;         // it takes its bottom there
    if (leader != i && !layers_[leader]->BackwardReadsTop()) continue;  // it computes that anew
    const bool sign_is_enough = string(layers_[i]->type()) == "ReLU";
    for (int k = i + 1; k < count; ++k) {
      if (top_id_vecs_[k] != top || (sign_is_enough && keep_signs.count(layers_[k]->type()))) {
        continue;
      }
      LOG(WARNING) << "layer '" << layer_names_[k] << "' (" << layers_[k]->type()
                   << ") works in place on what layer '" << layer_names_[i] << "' ("
                   << layers_[i]->type() << ") wrote" << (in_place ? " in place" : "")
                   << " and needs for its gradient, which "
                   << "will be wrong; give it another top";
      break;
    }
  }
}

// A bottom's diff may be shared where nothing writes to it between the layer that computes it and
// the one that made the blob, and that one only reads it.
template <typename Dtype>
void Net<Dtype>::ShareDiffs() {
  vector<bool> read_only(blobs_.size(), false);
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (computed_by_[i] != static_cast<int>(i)) continue;
    for (int id : top_id_vecs_[i]) {
      const auto& bottoms = bottom_id_vecs_[i];
      const bool in_place = std::find(bottoms.begin(), bottoms.end(), id) != bottoms.end();
      read_only[id] = !in_place && layers_[i]->BackwardKeepsTopDiff();
    }
  }
  for (size_t i = 0; i < layers_.size(); ++i) {
    vector<bool> allowed;
    for (size_t j = 0; j < bottom_id_vecs_[i].size(); ++j) {
      allowed.push_back(read_only[bottom_id_vecs_[i][j]] && bottom_need_backward_[i][j]);
    }
    // A top that is a loss has its weight as diff.
    for (int id : top_id_vecs_[i]) {
      if (blob_loss_weights_[id] != 0) allowed.assign(allowed.size(), false);
    }
    layers_[i]->AllowSharedDiffs(allowed);
  }
}

template <typename Dtype>
void Net<Dtype>::LogTable() const {
  size_t width = 5, values = 0;
  for (const string& name : layer_names_)
    width = std::max(width, std::min<size_t>(name.size(), 28));
  for (const Blob<Dtype>* param : learnable_params_) values += param->count();
  LOG(INFO) << "Net " << name_ << " (" << Phase_Name(phase_) << "): " << layers_.size()
            << " layers, " << values << " parameters";
  for (size_t i = 0; i < layers_.size(); ++i) {
    ostringstream line;
    line << "  " << std::left << std::setw(static_cast<int>(width)) << layer_names_[i] << "  "
         << std::setw(16) << layers_[i]->type();
    for (const Blob<Dtype>* top : top_vecs_[i]) line << " " << top->shape_string();
    size_t count = 0;
    for (const auto& blob : layers_[i]->blobs()) count += blob->count();
    if (count) line << "  " << count << " parameters";
    if (string(layers_[i]->type()) == "Split") {
      VLOG(1) << line.str();
    } else {
      LOG(INFO) << line.str();
    }
  }
}

template bool Net<float>::StateMeetsRule(const NetState&, const NetStateRule&, const string&);
template bool Net<double>::StateMeetsRule(const NetState&, const NetStateRule&, const string&);
template void Net<float>::FilterNet(const NetParameter&, NetParameter*);
template void Net<double>::FilterNet(const NetParameter&, NetParameter*);
template void Net<float>::Init(const NetParameter&);
template void Net<double>::Init(const NetParameter&);

}  // namespace caffe

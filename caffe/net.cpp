// How a Net runs, and how it exchanges parameters. net_init.cpp builds it.

#include "caffe/net.hpp"

#include <algorithm>

#include "caffe/solvers/update_rules.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "util/nearest_name.hpp"

namespace caffe {

template <typename Dtype>
Net<Dtype>::Net(const NetParameter& param) {
  Init(param);
}

template <typename Dtype>
Net<Dtype>::Net(const string& param_file, Phase phase, int level, const vector<string>* stages) {
  NetParameter param;
  ReadNetParamsFromTextFileOrDie(param_file, &param);
  param.mutable_state()->set_phase(phase);
  param.mutable_state()->set_level(level);
  if (stages) {
    for (const string& stage : *stages) param.mutable_state()->add_stage(stage);
  }
  try {
    Init(param);
  } catch (const Error& e) {
    throw Error(param_file + ": " + e.what());
  }
}

template <typename Dtype>
Dtype Net<Dtype>::ForwardFromTo(int start, int end) {
  CHECK_GE(start, 0);
  CHECK_LT(end, static_cast<int>(layers_.size()));
  if (start == 0) ++next_pass_;
  for (Blob<Dtype>* input : net_input_blobs_) {
    if (input->data()) input->data()->PlainMayHaveChanged();
  }
  Dtype loss = 0;
  for (int i = start; i <= end; ++i) {
    for (Callback* callback : before_forward_) callback->run(i);
    if (computed_by_[i] == i) {
      loss += InLayer(i, [&] { return layers_[i]->Forward(bottom_vecs_[i], top_vecs_[i]); });
    }
    if (debug_info_) LogDebug("Forward", i, false);
    for (Callback* callback : after_forward_) callback->run(i);
  }
  return loss;
}

template <typename Dtype>
const vector<Blob<Dtype>*>& Net<Dtype>::Forward(Dtype* loss) {
  const Dtype sum = ForwardFrom(0);
  if (loss) *loss = sum;
  return net_output_blobs_;
}

template <typename Dtype>
const vector<Blob<Dtype>*>& Net<Dtype>::Forward(const vector<Blob<Dtype>*>& bottom, Dtype* loss) {
  ENFORCE(bottom.size() <= net_input_blobs_.size())
      << bottom.size() << " blobs given to a net with " << net_input_blobs_.size() << " inputs";
  for (size_t i = 0; i < bottom.size(); ++i) net_input_blobs_[i]->CopyFrom(*bottom[i]);
  return Forward(loss);
}

template <typename Dtype>
void Net<Dtype>::BackwardFromTo(int start, int end) {
  CHECK_GE(end, 0);
  CHECK_LT(start, static_cast<int>(layers_.size()));
  for (int i = start; i >= end; --i) {
    for (Callback* callback : before_backward_) callback->run(i);
    if (layer_need_backward_[i]) {
      if (computed_by_[i] == i) {
        InLayer(i, [&] {
          layers_[i]->Backward(top_vecs_[i], bottom_need_backward_[i], bottom_vecs_[i]);
        });
      }
      if (debug_info_) LogDebug("Backward", i, true);
    }
    for (Callback* callback : after_backward_) callback->run(i);
  }
}

template <typename Dtype>
void Net<Dtype>::Reshape() {
  for (size_t i = 0; i < layers_.size(); ++i) {
    InLayer(static_cast<int>(i), [&] { layers_[i]->Reshape(bottom_vecs_[i], top_vecs_[i]); });
  }
}

template <typename Dtype>
void Net<Dtype>::ClearParamDiffs() {
  RulesTogether together;
  for (Blob<Dtype>* param : learnable_params_) {
    if (Caffe::mode() == Caffe::GPU) {
      ApplyOnGpu(param->count(), Clear<Dtype>{param->overwrite_gpu_diff()});
    } else {
      caffe_set(param->count(), Dtype(0), param->overwrite_cpu_diff(1));
    }
  }
  together.Start();
}

template <typename Dtype>
void Net<Dtype>::Update() {
  for (Blob<Dtype>* param : learnable_params_) param->Update();
}

template <typename Dtype>
void Net<Dtype>::ShareWeights() {
  for (size_t i = 0; i < params_.size(); ++i) {
    if (param_owners_[i] < 0) continue;
    params_[i]->ShareData(*params_[param_owners_[i]]);
    params_[i]->ShareDiff(*params_[param_owners_[i]]);
  }
}

template <typename Dtype>
void Net<Dtype>::set_next_pass(uint64_t pass) {
  next_pass_ = pass;
  for (const auto& layer : layers_) layer->set_next_pass(pass);
}

template <typename Dtype>
size_t Net<Dtype>::memory_allocated() const {
  set<const SyncedMemory*> seen;
  size_t bytes = 0;
  const auto add = [&](const shared_ptr<Blob<Dtype>>& blob) {
    if (blob->num_axes() == 0 && blob->count() == 0) return;
    for (const SyncedMemory* memory : {blob->data().get(), blob->diff().get()}) {
      if (seen.insert(memory).second) bytes += memory->allocated();
    }
  };
  for (const auto& blob : blobs_) add(blob);
  for (const auto& param : params_) add(param);
  return bytes;
}

template <typename Dtype>
void Net<Dtype>::ShareTrainedLayersWith(const Net* other) {
  for (size_t i = 0; i < other->layers_.size(); ++i) {
    const string& name = other->layer_names_[i];
    const auto found = layer_names_index_.find(name);
    if (found == layer_names_index_.end()) continue;
    if (other->layer_names_index_.at(name) != static_cast<int>(i)) continue;
    auto& target = layers_[found->second]->blobs();
    auto& source = other->layers_[i]->blobs();
    ENFORCE(target.size() == source.size()) << "layer '" << name << "': " << source.size()
                                            << " parameter blobs to share with " << target.size();
    for (size_t j = 0; j < target.size(); ++j) {
      ENFORCE(target[j]->shape() == source[j]->shape())
          << "layer '" << name << "': parameter " << j << " of shape " << source[j]->shape_string()
          << " cannot be shared with one of shape " << target[j]->shape_string();
      target[j]->ShareData(*source[j]);
    }
  }
}

template <typename Dtype>
void Net<Dtype>::CopyTrainedLayersFrom(const NetParameter& param) {
  int matched = 0, with_blobs = 0;
  vector<string> unused;
  set<string> filled;
  for (const LayerParameter& source : param.layer()) {
    if (source.blobs_size() == 0) continue;
    ++with_blobs;
    const auto found = layer_names_index_.find(source.name());
    if (found == layer_names_index_.end()) {
      unused.push_back(source.name());
      continue;
    }
    ++matched;
    filled.insert(source.name());
    auto& target = layers_[found->second]->blobs();
    ENFORCE(static_cast<int>(target.size()) == source.blobs_size())
        << "layer '" << source.name() << "' (" << layers_[found->second]->type()
        << "): " << source.blobs_size() << " stored parameter blobs where the net has "
        << target.size();
    for (int j = 0; j < source.blobs_size(); ++j) {
      try {
        target[j]->FromProto(source.blobs(j), false);
      } catch (const Error& e) {
        THROW_ERROR << "layer '" << source.name() << "' (" << layers_[found->second]->type()
                    << "): parameter " << j << ": " << e.what()
                    << "; to train this layer anew, give it another name";
      }
    }
  }
  const bool has_parameters = std::any_of(
      layers_.begin(), layers_.end(), [](const auto& layer) { return !layer->blobs().empty(); });
  ENFORCE(with_blobs > 0 || !has_parameters) << "holds no layer with parameters";
  ENFORCE(matched > 0 || with_blobs == 0)
      << "none of the " << with_blobs
      << " stored layers with parameters has the name of one in net '" << name_ << "' (stored: '"
      << unused.front() << "', ...)";
  for (const string& name : unused) {
    LOG(WARNING) << "Stored layer '" << name << "' is not in the net"
                 << DidYouMean(name, layer_names_) << "; its parameters are not used";
  }
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (layers_[i]->blobs().empty() || filled.count(layer_names_[i])) continue;
    LOG(WARNING) << "Layer '" << layer_names_[i] << "' is not stored; it keeps its initial values";
  }
}

template <typename Dtype>
void Net<Dtype>::CopyTrainedLayersFrom(const string& trained_filename) {
  const string hdf5 = ".h5";
  if (trained_filename.size() >= hdf5.size() &&
      trained_filename.compare(trained_filename.size() - hdf5.size(), hdf5.size(), hdf5) == 0) {
    CopyTrainedLayersFromHDF5(trained_filename);
  } else {
    CopyTrainedLayersFromBinaryProto(trained_filename);
  }
}

template <typename Dtype>
void Net<Dtype>::CopyTrainedLayersFromBinaryProto(const string& trained_filename) {
  NetParameter param;
  ReadNetParamsFromBinaryFileOrDie(trained_filename, &param);
  try {
    CopyTrainedLayersFrom(param);
  } catch (const Error& e) {
    throw Error(trained_filename + ": " + e.what());
  }
}

template <typename Dtype>
void Net<Dtype>::CopyTrainedLayersFromHDF5(const string& trained_filename) {
  THROW_ERROR << trained_filename << ": HDF5 weights are not supported; use .caffemodel";
}

template <typename Dtype>
void Net<Dtype>::ToHDF5(const string& filename, bool) const {
  THROW_ERROR << filename << ": HDF5 weights are not supported; use .caffemodel";
}

template <typename Dtype>
void Net<Dtype>::ToProto(NetParameter* param, bool write_diff) const {
  param->Clear();
  param->set_name(name_);
  for (const auto& layer : layers_) layer->ToProto(param->add_layer(), write_diff);
}

template <typename Dtype>
const shared_ptr<Blob<Dtype>> Net<Dtype>::blob_by_name(const string& blob_name) const {
  const auto found = blob_names_index_.find(blob_name);
  if (found != blob_names_index_.end()) return blobs_[found->second];
  LOG(WARNING) << "Unknown blob name " << blob_name << DidYouMean(blob_name, blob_names_);
  return shared_ptr<Blob<Dtype>>();
}

template <typename Dtype>
const shared_ptr<Layer<Dtype>> Net<Dtype>::layer_by_name(const string& layer_name) const {
  const auto found = layer_names_index_.find(layer_name);
  if (found != layer_names_index_.end()) return layers_[found->second];
  LOG(WARNING) << "Unknown layer name " << layer_name << DidYouMean(layer_name, layer_names_);
  return shared_ptr<Layer<Dtype>>();
}

template <typename Dtype>
void Net<Dtype>::LogDebug(const char* pass, int layer_id, bool diff) const {
  const auto& ids = diff ? bottom_id_vecs_[layer_id] : top_id_vecs_[layer_id];
  for (int id : ids) {
    const Blob<Dtype>& blob = *blobs_[id];
    if (blob.count() == 0) continue;
    LOG(INFO) << "    [" << pass << "] Layer " << layer_names_[layer_id] << ", blob "
              << blob_names_[id] << (diff ? " diff: " : " data: ")
              << (diff ? blob.asum_diff() : blob.asum_data()) / blob.count();
  }
  const auto& blobs = layers_[layer_id]->blobs();
  for (size_t j = 0; j < blobs.size(); ++j) {
    if (blobs[j]->count() == 0) continue;
    LOG(INFO) << "    [" << pass << "] Layer " << layer_names_[layer_id] << ", param blob " << j
              << (diff ? " diff: " : " data: ")
              << (diff ? blobs[j]->asum_diff() : blobs[j]->asum_data()) / blobs[j]->count();
  }
}

INSTANTIATE_CLASS(Net);

}  // namespace caffe

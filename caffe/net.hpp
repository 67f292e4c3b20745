#ifndef CAFFE_NET_HPP_
#define CAFFE_NET_HPP_

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// A directed acyclic graph of layers, built from a NetParameter: connects layers by blob names,
/// inserts a Split where a blob is read more than once, shares parameters that have the same name,
/// and runs the layers forward in their order and backward in reverse, where a gradient is needed.
template <typename Dtype>
class Net {
 public:
  explicit Net(const NetParameter& param);
  /// Reads the definition from a prototxt file; errors name it.
  explicit Net(const string& param_file, Phase phase, int level = 0,
               const vector<string>* stages = nullptr);
  virtual ~Net() {}

  void Init(const NetParameter& param);

  /// Runs all layers; `loss` receives the weighted sum of the losses. Returns the output blobs.
  const vector<Blob<Dtype>*>& Forward(Dtype* loss = nullptr);
  const vector<Blob<Dtype>*>& ForwardPrefilled(Dtype* loss = nullptr) { return Forward(loss); }
  /// Layers `start` to `end`, both included.
  Dtype ForwardFromTo(int start, int end);
  Dtype ForwardFrom(int start) { return ForwardFromTo(start, int(layers_.size()) - 1); }
  Dtype ForwardTo(int end) { return ForwardFromTo(0, end); }
  /// Copies `bottom` into the input blobs first.
  const vector<Blob<Dtype>*>& Forward(const vector<Blob<Dtype>*>& bottom, Dtype* loss = nullptr);

  void ClearParamDiffs();
  void Backward() { BackwardFromTo(int(layers_.size()) - 1, 0); }
  void BackwardFromTo(int start, int end);
  void BackwardFrom(int start) { BackwardFromTo(start, 0); }
  void BackwardTo(int end) { BackwardFromTo(int(layers_.size()) - 1, end); }
  /// Passes the shapes of changed input blobs on, without computing.
  void Reshape();
  Dtype ForwardBackward() {
    Dtype loss;
    Forward(&loss);
    Backward();
    return loss;
  }

  /// Subtracts the diff from every learnable parameter.
  void Update();
  /// Lets parameters with a common name share memory. Init does so; call it after changing blobs().
  void ShareWeights();

  /// From now on, parameters of layers with the same names are those of `other`.
  void ShareTrainedLayersWith(const Net* other);
  /// Copies the parameters of layers with the same names. An Error when no layer matches or a shape
  /// differs; layers on one side only are named in a warning.
  void CopyTrainedLayersFrom(const NetParameter& param);
  void CopyTrainedLayersFrom(const string& trained_filename);
  void CopyTrainedLayersFromBinaryProto(const string& trained_filename);
  /// HDF5 files are not supported: an Error.
  void CopyTrainedLayersFromHDF5(const string& trained_filename);
  void ToProto(NetParameter* param, bool write_diff = false) const;
  void ToHDF5(const string& filename, bool write_diff = false) const;

  const string& name() const { return name_; }
  const vector<string>& layer_names() const { return layer_names_; }
  const vector<string>& blob_names() const { return blob_names_; }
  const vector<shared_ptr<Blob<Dtype>>>& blobs() const { return blobs_; }
  const vector<shared_ptr<Layer<Dtype>>>& layers() const { return layers_; }
  Phase phase() const { return phase_; }
  const vector<vector<Blob<Dtype>*>>& bottom_vecs() const { return bottom_vecs_; }
  const vector<vector<Blob<Dtype>*>>& top_vecs() const { return top_vecs_; }
  const vector<int>& top_ids(int i) const { return top_id_vecs_.at(i); }
  const vector<int>& bottom_ids(int i) const { return bottom_id_vecs_.at(i); }
  const vector<vector<bool>>& bottom_need_backward() const { return bottom_need_backward_; }
  const vector<Dtype>& blob_loss_weights() const { return blob_loss_weights_; }
  const vector<bool>& layer_need_backward() const { return layer_need_backward_; }
  /// All parameters, layer by layer; learnable_params() has each shared one once.
  const vector<shared_ptr<Blob<Dtype>>>& params() const { return params_; }
  const vector<Blob<Dtype>*>& learnable_params() const { return learnable_params_; }
  // Per learnable parameter: multipliers of learning rate and weight decay.
  const vector<float>& params_lr() const { return params_lr_; }
  const vector<bool>& has_params_lr() const { return has_params_lr_; }
  const vector<float>& params_weight_decay() const { return params_weight_decay_; }
  const vector<bool>& has_params_decay() const { return has_params_decay_; }
  /// Index in params() of the owner of each parameter name.
  const map<string, int>& param_names_index() const { return param_names_index_; }
  /// Per parameter: the index of the one that it shares, or -1.
  const vector<int>& param_owners() const { return param_owners_; }
  const vector<string>& param_display_names() const { return param_display_names_; }
  int num_inputs() const { return static_cast<int>(net_input_blobs_.size()); }
  int num_outputs() const { return static_cast<int>(net_output_blobs_.size()); }
  const vector<Blob<Dtype>*>& input_blobs() const { return net_input_blobs_; }
  const vector<Blob<Dtype>*>& output_blobs() const { return net_output_blobs_; }
  const vector<int>& input_blob_indices() const { return net_input_blob_indices_; }
  const vector<int>& output_blob_indices() const { return net_output_blob_indices_; }
  bool has_blob(const string& blob_name) const { return blob_names_index_.count(blob_name) > 0; }
  /// Null, with a warning, when there is none.
  const shared_ptr<Blob<Dtype>> blob_by_name(const string& blob_name) const;
  bool has_layer(const string& layer_name) const {
    return layer_names_index_.count(layer_name) > 0;
  }
  const shared_ptr<Layer<Dtype>> layer_by_name(const string& layer_name) const;
  void set_debug_info(bool value) { debug_info_ = value; }

  // Beyond Caffe's API: forward passes made so far, which fixes the random numbers and the data of
  // the next one (layer.hpp).
  void set_next_pass(uint64_t pass);
  uint64_t next_pass() const { return next_pass_; }
  /// Gives intermediate results that are not needed at the same time the same memory: gradients of
  /// activations, and activations that the backward pass does not read. Blobs that no layer makes,
  /// net outputs and losses keep theirs. After this, an intermediate blob holds its values only
  /// until the layers that use it have run.
  /// `backward` false: Backward will not be called, and no activation needs to wait for it.
  void ReuseMemory(bool backward = true);
  /// Bytes allocated for blobs and parameters up to now.
  size_t memory_allocated() const;

  /// Drops the layers that the net's state excludes.
  static void FilterNet(const NetParameter& param, NetParameter* param_filtered);
  static bool StateMeetsRule(const NetState& state, const NetStateRule& rule,
                             const string& layer_name);

  /// Called with a layer's index around its forward or backward pass.
  class Callback {
   public:
    virtual ~Callback() = default;

   protected:
    virtual void run(int layer) = 0;
    template <typename T>
    friend class Net;
  };
  const vector<Callback*>& before_forward() const { return before_forward_; }
  void add_before_forward(Callback* value) { before_forward_.push_back(value); }
  const vector<Callback*>& after_forward() const { return after_forward_; }
  void add_after_forward(Callback* value) { after_forward_.push_back(value); }
  const vector<Callback*>& before_backward() const { return before_backward_; }
  void add_before_backward(Callback* value) { before_backward_.push_back(value); }
  const vector<Callback*>& after_backward() const { return after_backward_; }
  void add_after_backward(Callback* value) { after_backward_.push_back(value); }

 protected:
  typedef map<string, int> BlobIndex;
  // Building, in net_init.cpp.
  void AppendLayer(const NetParameter& param, int layer_id, set<string>* available,
                   BlobIndex* blob_index);
  void AppendTop(const LayerParameter& layer, int layer_id, const string& blob_name, bool in_place,
                 set<string>* available, BlobIndex* blob_index);
  void AppendBottom(const NetParameter& param, int layer_id, int bottom_id, set<string>* available,
                    BlobIndex* blob_index);
  void AppendParam(int layer_id, int param_id);
  void PruneBackward(bool force_backward);
  void FuseLayers();
  void ShareDiffs();
  // net_memory.cpp
  struct Interval;
  typedef void (Blob<Dtype>::*UseMemory)(const shared_ptr<SyncedMemory>&);
  void AssignMemory(vector<Interval> intervals, UseMemory use);
  void ShareAll();
  void WarnOfLostOutputs() const;
  template <class Memory>
  vector<Interval> Merge(const vector<int>& begin, const vector<int>& end, const vector<bool>& keep,
                         const Memory& memory_of) const;
  vector<Interval> DataIntervals(bool backward) const;
  vector<Interval> DiffIntervals() const;
  void LogTable() const;
  /// Runs `work`; an Error from it gets the layer's name and type in front.
  template <class Work>
  auto InLayer(int layer_id, const Work& work) const -> decltype(work());
  void LogDebug(const char* pass, int layer_id, bool diff) const;

  string name_;
  Phase phase_ = TRAIN;
  vector<shared_ptr<Layer<Dtype>>> layers_;
  vector<string> layer_names_;
  map<string, int> layer_names_index_;
  vector<bool> layer_need_backward_;
  vector<int> computed_by_;  // per layer: itself, or an earlier layer that absorbed it
  vector<shared_ptr<Blob<Dtype>>> blobs_;
  vector<string> blob_names_;
  map<string, int> blob_names_index_;
  vector<bool> blob_need_backward_;
  vector<vector<Blob<Dtype>*>> bottom_vecs_;
  vector<vector<int>> bottom_id_vecs_;
  vector<vector<bool>> bottom_need_backward_;
  vector<vector<Blob<Dtype>*>> top_vecs_;
  vector<vector<int>> top_id_vecs_;
  vector<Dtype> blob_loss_weights_;
  vector<vector<int>> param_id_vecs_;
  vector<int> param_owners_;
  vector<string> param_display_names_;
  vector<pair<int, int>> param_layer_indices_;
  map<string, int> param_names_index_;
  vector<int> net_input_blob_indices_;
  vector<int> net_output_blob_indices_;
  vector<Blob<Dtype>*> net_input_blobs_;
  vector<Blob<Dtype>*> net_output_blobs_;
  vector<shared_ptr<Blob<Dtype>>> params_;
  vector<Blob<Dtype>*> learnable_params_;
  vector<int> learnable_param_ids_;
  vector<float> params_lr_;
  vector<bool> has_params_lr_;
  vector<float> params_weight_decay_;
  vector<bool> has_params_decay_;
  bool debug_info_ = false;
  uint64_t next_pass_ = 0;
  vector<Callback*> before_forward_;
  vector<Callback*> after_forward_;
  vector<Callback*> before_backward_;
  vector<Callback*> after_backward_;

  DISABLE_COPY_AND_ASSIGN(Net);
};

template <typename Dtype>
template <class Work>
auto Net<Dtype>::InLayer(int layer_id, const Work& work) const -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception& e) {  // also a library's own, and a lack of memory
    const LayerParameter& param = layers_[layer_id]->layer_param();
    throw Error("layer '" + param.name() + "' (" + param.type() + "): " + e.what());
  }
}

}  // namespace caffe

#endif  // CAFFE_NET_HPP_

#ifndef CAFFE_LAYER_H_
#define CAFFE_LAYER_H_

#include <algorithm>
#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/util/math_functions.hpp"

namespace caffe {

/// A node of a network: computes its top blobs from its bottom blobs (Forward), and from the
/// gradients of the tops those of the bottoms and of its own parameters (Backward). A new layer
/// type implements LayerSetUp (once), Reshape (whenever a bottom's shape may have changed),
/// Forward_cpu and Backward_cpu, and says with the Num...Blobs functions what may be connected to
/// it. Bottom gradients are overwritten, parameter gradients added to.
/// What a user got wrong is thrown as an Error (util/error.hpp), which Net completes with the
/// layer's name and type. Any layer throws for a number of bottoms or tops that those functions
/// exclude and for an axis that a bottom does not have; the layers' headers list what else they
/// refuse.
template <typename Dtype>
class Layer {
 public:
  /// Blobs in `param` become the layer's parameters.
  explicit Layer(const LayerParameter& param);
  virtual ~Layer() {}

  /// Checks the number of blobs, then LayerSetUp, Reshape, and the weights of the tops in the loss.
  void SetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top);
  virtual void LayerSetUp(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) {}
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) = 0;

  /// Reshapes, computes the tops, and returns this layer's share of the loss,
  /// sum over tops of loss_weight * sum of the top's values.
  Dtype Forward(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top);
  /// Computes the gradient of each bottom i with propagate_down[i], and adds to the parameters'
  /// diff.
  void Backward(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                const vector<Blob<Dtype>*>& bottom);

  vector<shared_ptr<Blob<Dtype>>>& blobs() { return blobs_; }
  const LayerParameter& layer_param() const { return layer_param_; }
  /// The layer's definition with the values of its parameters.
  virtual void ToProto(LayerParameter* param, bool write_diff = false);

  Dtype loss(int top_index) const {
    return top_index < static_cast<int>(loss_.size()) ? loss_[top_index] : Dtype(0);
  }
  void set_loss(int top_index, Dtype value) {
    if (static_cast<int>(loss_.size()) <= top_index) loss_.resize(top_index + 1, Dtype(0));
    loss_[top_index] = value;
  }

  /// The name in prototxt.
  virtual const char* type() const { return ""; }

  // How many blobs may be connected; -1: any number.
  virtual int ExactNumBottomBlobs() const { return -1; }
  virtual int MinBottomBlobs() const { return -1; }
  virtual int MaxBottomBlobs() const { return -1; }
  virtual int ExactNumTopBlobs() const { return -1; }
  virtual int MinTopBlobs() const { return -1; }
  virtual int MaxTopBlobs() const { return -1; }
  virtual bool EqualNumBottomTopBlobs() const { return false; }
  /// Whether Net adds unnamed tops up to the required number (losses do).
  virtual bool AutoTopBlobs() const { return false; }
  /// Whether force_backward applies to that bottom (not to labels).
  virtual bool AllowForceBackward(int) const { return true; }

  /// Whether Backward computes the gradient of that parameter.
  bool param_propagate_down(int param_id) const {
    return param_id < static_cast<int>(param_propagate_down_.size()) &&
           param_propagate_down_[param_id];
  }
  void set_param_propagate_down(int param_id, bool value) {
    if (static_cast<int>(param_propagate_down_.size()) <= param_id) {
      param_propagate_down_.resize(param_id + 1, true);
    }
    param_propagate_down_[param_id] = value;
  }

  // Beyond Caffe's API: fusion. `next` follows directly and works in place on this layer's only
  // top.
  /// Asks this layer to compute `next` too from now on, forward and backward, gradients of its
  /// parameters included; true when it will. `next` is then not run any more.
  virtual bool Absorb(Layer*) { return false; }
  /// Another layer computes this one: Forward and Backward do nothing from now on.
  void set_absorbed() { absorbed_ = true; }

  // Beyond Caffe's API: memory. A layer that says what its Backward does not need lets Net use the
  // memory of activations and gradients for others; the defaults are always right.
  virtual bool BackwardReadsBottom(int) const { return true; }
  virtual bool BackwardReadsTop() const { return true; }
  /// Whether the top's diff is the same after Backward, so that others may share it.
  virtual bool BackwardKeepsTopDiff() const { return false; }
  /// Per bottom: whether Backward may let its diff share memory, with the top's or each other's.
  virtual void AllowSharedDiffs(const vector<bool>&) {}

  /// Whether Backward, after a Forward in place (and otherwise where BackwardReadsTop), computes
  /// from what Forward wrote: a layer behind that writes there, too, would take it away.
  virtual bool BackwardReadsItsOutput() const { return false; }

  // Beyond Caffe's API: what makes random layers and data layers resumable. Forward calls are
  // numbered from 0; whatever a layer draws or reads in a pass depends on that number, its name,
  // its phase and the seed that was in force when it was created, and on nothing else.
  /// Makes the next Forward the one with that number.
  void set_next_pass(uint64_t pass) { next_pass_ = pass; }
  uint64_t next_pass() const { return next_pass_; }

 protected:
  /// The number of the current forward pass, also during its Backward.
  uint64_t pass() const { return pass_; }
  /// Philox key of this layer's random numbers.
  uint64_t random_key() const { return random_key_; }

  LayerParameter layer_param_;
  Phase phase_;
  vector<shared_ptr<Blob<Dtype>>> blobs_;
  vector<bool> param_propagate_down_;
  vector<Dtype> loss_;

  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) = 0;
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
    Forward_cpu(bottom, top);
  }
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom) = 0;
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom) {
    Backward_cpu(top, propagate_down, bottom);
  }

  virtual void CheckBlobCounts(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top);
  void SetLossWeights(const vector<Blob<Dtype>*>& top);
  /// For layers that cannot: throws where a top is a bottom.
  static void RefuseInPlace(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top);

 private:
  uint64_t next_pass_ = 0;
  uint64_t pass_ = 0;
  uint64_t random_key_;
  bool absorbed_ = false;

  DISABLE_COPY_AND_ASSIGN(Layer);
};

}  // namespace caffe

#endif  // CAFFE_LAYER_H_

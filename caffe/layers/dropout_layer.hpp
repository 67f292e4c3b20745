#ifndef CAFFE_DROPOUT_LAYER_HPP_
#define CAFFE_DROPOUT_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layers/neuron_layer.hpp"

namespace caffe {

/// TRAIN: each element is 0 with probability dropout_ratio = 0.5, else x / (1 - dropout_ratio).
/// TEST: y = x. (Srivastava et al., 2014.) The choices come from Philox with the counter
/// (image, four channels, position; pass), so that the backward pass makes them again instead of
/// keeping a mask, and so that they are the same in any layout. May work in place.
/// Errors: dropout_ratio outside of [0, 1).
template <typename Dtype>
class DropoutLayer : public NeuronLayer<Dtype> {
 public:
  explicit DropoutLayer(const LayerParameter& param) : NeuronLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "Dropout"; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

 private:
  /// An element is dropped where its 32 random bits are less than this.
  uint32_t Threshold() const { return static_cast<uint32_t>(Ratio() * 4294967296.0); }
  /// The factor of the others.
  Dtype Kept() const { return Dtype(1 / (1 - Ratio())); }
  double Ratio() const { return this->layer_param_.dropout_param().dropout_ratio(); }
  void DropOnGpu(const ChannelBlocks& layout, const Dtype* from, Dtype* to) const;
  void Drop(const ChannelBlocks& layout, const Dtype* from, Dtype* to) const;
};

}  // namespace caffe

#endif  // CAFFE_DROPOUT_LAYER_HPP_

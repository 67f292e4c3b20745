#ifndef CAFFE_LOSS_LAYER_HPP_
#define CAFFE_LOSS_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"

namespace caffe {

/// Smallest probability that a logarithm is taken of, for loss layers that want one.
const float kLOG_THRESHOLD = 1e-20f;

/// Two bottoms, predictions and targets, and a scalar top whose loss_weight is 1 unless given.
/// Targets get no gradient.
/// Errors: bottoms whose first axes differ in extent; in-place use.
template <typename Dtype>
class LossLayer : public Layer<Dtype> {
 public:
  explicit LossLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  int ExactNumBottomBlobs() const override { return 2; }
  int ExactNumTopBlobs() const override { return 1; }
  bool AutoTopBlobs() const override { return true; }
  bool AllowForceBackward(int bottom_index) const override { return bottom_index != 1; }
};

}  // namespace caffe

#endif  // CAFFE_LOSS_LAYER_HPP_

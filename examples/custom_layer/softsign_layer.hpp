#ifndef EXAMPLES_CUSTOM_LAYER_SOFTSIGN_LAYER_HPP_
#define EXAMPLES_CUSTOM_LAYER_SOFTSIGN_LAYER_HPP_

#include <vector>

#include "caffe/layers/neuron_layer.hpp"

namespace caffe {

/// y = x / (1 + |x|), element by element; dx = dy / (1 + |x|)^2.
/// One bottom and one top of the same shape; works in place.
template <typename Dtype>
class SoftsignLayer : public NeuronLayer<Dtype> {
 public:
  explicit SoftsignLayer(const LayerParameter& param) : NeuronLayer<Dtype>(param) {}
  const char* type() const override { return "Softsign"; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
};

}  // namespace caffe

#endif  // EXAMPLES_CUSTOM_LAYER_SOFTSIGN_LAYER_HPP_

#ifndef CAFFE_PRELU_LAYER_HPP_
#define CAFFE_PRELU_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layers/neuron_layer.hpp"

namespace caffe {

/// Parametric rectifier (He et al., 2015): y = max(x, 0) + a_c min(x, 0), with a learned slope a
/// per channel (axis 1), or one for all with prelu_param.channel_shared = true; filler: constant
/// 0.25.
///     dx = dy (x > 0 ? 1 : a_c),   da_c = sum over images and pixels of dy min(x, 0)
/// blobs: [0] a, C values (no axes when shared). In place, the input is kept for the backward pass.
/// Errors: a bottom of less than two axes; slopes that do not fit its channels.
template <typename Dtype>
class PReLULayer : public NeuronLayer<Dtype> {
 public:
  explicit PReLULayer(const LayerParameter& param) : NeuronLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "PReLU"; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

 private:
  bool channel_shared_ = false;
  Blob<Dtype> input_;  // used in place only
};

}  // namespace caffe

#endif  // CAFFE_PRELU_LAYER_HPP_

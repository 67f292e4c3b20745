#ifndef CAFFE_LAYERS_DNNL_CONVOLUTION_HPP_
#define CAFFE_LAYERS_DNNL_CONVOLUTION_HPP_

#include <memory>

#include "caffe/layers/float_convolution.hpp"

namespace caffe {

/// Convolution on oneDNN. It takes channel blocks for which a vectorised implementation exists;
/// weights are reordered inside, which costs little beside the activations. Primitives are made
/// once: the forward one here, each backward one when first used.
class DnnlConvolution : public FloatConvolution {
 public:
  explicit DnnlConvolution(const ConvGeometry& geometry);
  ~DnnlConvolution() override;

  int src_block() const override;
  int dst_block() const override;
  void Forward(const float* src, const float* weights, const float* bias, float* dst) override;
  void BackwardData(const float* dst_diff, const float* weights, float* src_diff) override;
  void BackwardWeights(const float* src, const float* dst_diff, float* weights_diff,
                       float* bias_diff) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_DNNL_CONVOLUTION_HPP_

#ifndef CAFFE_LAYERS_DNNL_CONVOLUTION_HPP_
#define CAFFE_LAYERS_DNNL_CONVOLUTION_HPP_

#include <memory>

namespace caffe {

/// The sizes of a 2-D convolution, in elements; dilation 1 is a dense kernel.
struct ConvGeometry {
  int num = 0, in_channels = 0, in_h = 0, in_w = 0;
  int out_channels = 0, out_h = 0, out_w = 0;
  int kernel_h = 0, kernel_w = 0, stride_h = 1, stride_w = 1;
  int pad_h = 0, pad_w = 0, dilation_h = 1, dilation_w = 1;
  int group = 1;
  bool bias = false;
  bool operator==(const ConvGeometry& o) const;
};

/// Float convolution on oneDNN. It chooses the channel blocks of its input and output
/// (util/channel_blocks.hpp) so that a vectorised implementation exists; weights and their gradient
/// are plain OIHW outside and reordered inside, which costs little beside the activations.
/// Primitives are made once: the forward one here, each backward one when first used.
class DnnlConvolution {
 public:
  explicit DnnlConvolution(const ConvGeometry& geometry);
  ~DnnlConvolution();

  const ConvGeometry& geometry() const;
  int src_block() const;
  int dst_block() const;

  void Forward(const float* src, const float* weights, const float* bias, float* dst);
  /// Overwrites src_diff.
  void BackwardData(const float* dst_diff, const float* weights, float* src_diff);
  /// Adds to weights_diff and to bias_diff, where they are not null.
  void BackwardWeights(const float* src, const float* dst_diff, float* weights_diff,
                       float* bias_diff);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_DNNL_CONVOLUTION_HPP_

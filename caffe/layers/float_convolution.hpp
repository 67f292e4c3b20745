#ifndef CAFFE_LAYERS_FLOAT_CONVOLUTION_HPP_
#define CAFFE_LAYERS_FLOAT_CONVOLUTION_HPP_

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

/// A float convolution of fixed sizes. It chooses the channel blocks of its input and output
/// (util/channel_blocks.hpp); weights and their gradient are plain OIHW.
class FloatConvolution {
 public:
  /// The fastest there is for these sizes on this processor. With `direct` the definition's own
  /// sum, in any order.
  static std::unique_ptr<FloatConvolution> Create(const ConvGeometry& geometry, bool direct);

  explicit FloatConvolution(const ConvGeometry& geometry) : geometry_(geometry) {}
  virtual ~FloatConvolution() = default;

  const ConvGeometry& geometry() const { return geometry_; }
  virtual int src_block() const = 0;
  virtual int dst_block() const = 0;

  /// `bias` is null where the geometry has none.
  virtual void Forward(const float* src, const float* weights, const float* bias, float* dst) = 0;
  /// Overwrites src_diff.
  virtual void BackwardData(const float* dst_diff, const float* weights, float* src_diff) = 0;
  /// Adds to weights_diff and to bias_diff, where they are not null.
  virtual void BackwardWeights(const float* src, const float* dst_diff, float* weights_diff,
                               float* bias_diff) = 0;

 private:
  ConvGeometry geometry_;
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_FLOAT_CONVOLUTION_HPP_

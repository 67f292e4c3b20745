#ifndef CAFFE_LAYERS_CUDNN_CONVOLUTION_HPP_
#define CAFFE_LAYERS_CUDNN_CONVOLUTION_HPP_

#include <memory>
#include <string>

#include "caffe/layers/float_convolution.hpp"

namespace caffe {

/// A 2-D convolution of fixed sizes on an NVIDIA GPU, by cuDNN. For each of its three passes the
/// fastest of cuDNN's algorithms that repeat bit for bit is taken, measured when the pass is run
/// first. Arrays are the device's, plain; float is computed in TF32 where the GPU has it.
template <typename Dtype>
class CudnnConvolution {
 public:
  /// Null, with the reason in `why_not`, in a build without cuDNN, where its library is not found,
  /// and on the emulated device.
  static std::unique_ptr<CudnnConvolution> Create(const ConvGeometry& geometry,
                                                  std::string* why_not);

  explicit CudnnConvolution(const ConvGeometry& geometry) : geometry_(geometry) {}
  virtual ~CudnnConvolution() = default;
  const ConvGeometry& geometry() const { return geometry_; }

  /// `bias` may be null.
  virtual void Forward(const Dtype* x, const Dtype* weights, const Dtype* bias, Dtype* y) = 0;
  /// Overwrites dx.
  virtual void BackwardData(const Dtype* dy, const Dtype* weights, Dtype* dx) = 0;
  /// Adds to dweights.
  virtual void BackwardWeights(const Dtype* x, const Dtype* dy, Dtype* dweights) = 0;

 private:
  ConvGeometry geometry_;
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_CUDNN_CONVOLUTION_HPP_

#ifndef CAFFE_LAYERS_GPU_CONVOLUTION_HPP_
#define CAFFE_LAYERS_GPU_CONVOLUTION_HPP_

#include <memory>
#include <string>

#include "caffe/layers/float_convolution.hpp"

namespace caffe {

/// A 2-D convolution of fixed sizes in GPU mode. Arrays are the device's, plain: images
/// N x C x H x W, weights O x (C / group) x kernel_h x kernel_w.
template <typename Dtype>
class GpuConvolution {
 public:
  explicit GpuConvolution(const ConvGeometry& geometry) : geometry_(geometry) {}
  virtual ~GpuConvolution() = default;
  const ConvGeometry& geometry() const { return geometry_; }

  /// `bias` may be null.
  virtual void Forward(const Dtype* x, const Dtype* weights, const Dtype* bias, Dtype* y) = 0;
  /// Overwrites dx.
  virtual void BackwardData(const Dtype* dy, const Dtype* weights, Dtype* dx) = 0;
  /// Adds to dweights.
  virtual void BackwardWeights(const Dtype* x, const Dtype* dy, Dtype* dweights) = 0;

 private:
  const ConvGeometry geometry_;
};

/// By cuDNN. For each of the three passes the fastest of its algorithms that repeat bit for bit is
/// taken: as cuDNN expects it, which is the same in every run, or, with `measure`, as measured when
/// the pass is run first. float is computed in TF32 where the GPU has it. Null, with the reason in
/// `why_not`, in a build without cuDNN, where its library is not found or has nothing for these
/// sizes, and on the emulated device.
template <typename Dtype>
std::unique_ptr<GpuConvolution<Dtype>> CudnnConvolution(const ConvGeometry& geometry, bool measure,
                                                        std::string* why_not);

/// 3x3 convolutions of few channels, as in the networks for 32x32 images, by the GPU's tensor cores
/// (TF32): the definition's sums as matrix products of what is in shared memory. The order of the
/// sums depends on the sizes alone. Null unless kernels are 3x3, padding 1, stride 1 or 2, with no
/// dilation, one group, and at most 64 channels on either side; where the images are too wide for
/// the shared memory; and without TF32: before compute capability 8.0, in code that was compiled
/// for an earlier one, with NVIDIA_TF32_OVERRIDE=0 in the environment.
std::unique_ptr<GpuConvolution<float>> TensorCoreConvolution(const ConvGeometry& geometry);

}  // namespace caffe

#endif  // CAFFE_LAYERS_GPU_CONVOLUTION_HPP_

#ifndef CAFFE_LAYERS_WINOGRAD_CONVOLUTION_HPP_
#define CAFFE_LAYERS_WINOGRAD_CONVOLUTION_HPP_

#include <cstddef>
#include <vector>

#include "caffe/layers/float_convolution.hpp"
#include "caffe/layers/winograd_kernels.hpp"

namespace caffe {

/// 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3): a tile of 4x4 outputs takes 36 products
/// per pair of channels where the definition takes 144,
///     Y = A^T [(G w G^T) * (B^T d B)] A
/// with d the 6x6 inputs of the tile and * element by element; the sum over input channels is then
/// a matrix product for each of the 36 positions. The gradient of the inputs is such a convolution
/// with rotated weights; that of the weights is the adjoint,
///     dw = G^T [sum over tiles (B^T d B) * (A dY A^T)] G.
/// Where tiles of 2x2 (16 products for 36) fit an image better, they are used. Rounding errors are
/// those of a direct sum in float: see winograd_transforms.inl.
/// Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016.
class WinogradConvolution : public FloatConvolution {
 public:
  /// Whether this convolution can be and is worth being computed so, on this processor.
  static bool Suits(const ConvGeometry& geometry);
  /// `kernels` gives those of a tile size.
  explicit WinogradConvolution(const ConvGeometry& geometry,
                               const WinogradKernels* (*kernels)(int tile) = BestWinogradKernels);

  int src_block() const override { return kernels_.block; }
  int dst_block() const override { return kernels_.block; }
  void Forward(const float* src, const float* weights, const float* bias, float* dst) override;
  void BackwardData(const float* dst_diff, const float* weights, float* src_diff) override;
  void BackwardWeights(const float* src, const float* dst_diff, float* weights_diff,
                       float* bias_diff) override;

 private:
  int positions() const { return (tile_ + 2) * (tile_ + 2); }
  void Convolve(const WinogradShape& shape, const float* src, const float* weights, bool transposed,
                const float* bias, float* dst);

  const int tile_;
  const WinogradKernels& kernels_;
  WinogradShape forward_, backward_;
  std::vector<float> bias_;        // filled up to whole blocks
  std::vector<double> bias_sums_;  // per channel: sum, and sum of squares, which is not used
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_WINOGRAD_CONVOLUTION_HPP_

#ifndef CAFFE_LAYERS_WINOGRAD_KERNELS_HPP_
#define CAFFE_LAYERS_WINOGRAD_KERNELS_HPP_

#include <cstddef>

namespace caffe {

/// Output groups whose transformed weights lie side by side.
constexpr int kWinogradPanel = 2;

/// The sizes of a 3x3 convolution of stride 1 on channel blocks. Tiles of tile x tile outputs are
/// numbered image by image, row by row.
struct WinogradShape {
  int num, in_groups, in_h, in_w;  // groups of `block` channels
  int out_groups, out_h, out_w;
  int pad_h, pad_w;
  int tiles_h(int tile) const { return (out_h + tile - 1) / tile; }
  int tiles_w(int tile) const { return (out_w + tile - 1) / tile; }
  int tiles(int tile) const { return num * tiles_h(tile) * tiles_w(tile); }
};

/// The single-threaded parts of Winograd's F(tile x tile, 3x3) for one vector instruction set. P is
/// the number of products of a tile, (tile + 2)^2; C and K are the channels in and out, filled up
/// to whole blocks. Activations, scratch and what is transformed are 64-byte aligned.
struct WinogradKernels {
  int block;  // channels of a vector
  int rows;   // tiles are computed in multiples of this

  /// Transforms the 3x3 weights that lead into the output groups of that panel. Weight
  /// (k, c, i) is at weights[k stride_k + c stride_c + (flip ? 8 - i : i)] for k < K, c < C as
  /// stored, and zero beyond. `transformed` is P x C x K in panels.
  void (*transform_weights)(const float* weights, int channels_out, int channels_in,
                            ptrdiff_t stride_k, ptrdiff_t stride_c, bool flip, int panel,
                            float* transformed);
  /// Floats of scratch for `convolve` on `tiles` tiles at once, and for `gradient`.
  size_t (*convolve_scratch)(int in_groups, int out_groups, int tiles);
  size_t (*gradient_scratch)(int in_groups, int out_groups, int tiles);
  /// dst = src * weights + bias on the tiles [begin, end); bias, which may be null, is filled up
  /// with zeros to whole blocks.
  void (*convolve)(const WinogradShape& shape, const float* src, const float* transformed,
                   const float* bias, int begin, int end, float* scratch, float* dst);
  /// Adds to `sums`, P x C x K' (the transformed weights' gradient for the output groups
  /// [first_group, last_group) alone), what the tiles [begin, end) give.
  void (*gradient)(const WinogradShape& shape, const float* src, const float* dst_diff,
                   int first_group, int last_group, int begin, int end, float* scratch,
                   float* sums);
  /// Adds to the gradient of the weights, K x C x 3 x 3, for those output groups and the input
  /// channels [first_in, last_in), the sum of `count` such arrays, `distance` floats apart.
  void (*add_gradient)(const float* sums, int count, size_t distance, int channels_out,
                       int channels_in, int first_group, int last_group, int first_in, int last_in,
                       float* weights_diff);
};

/// Those for tiles of 2 or 4 and the channel blocks of this processor (NativeChannelBlock), or
/// null.
const WinogradKernels* BestWinogradKernels(int tile);

// x86-64 has these two, other processors the last.
const WinogradKernels* WinogradKernelsAvx2(int tile);
const WinogradKernels* WinogradKernelsAvx512(int tile);
const WinogradKernels* WinogradKernelsGeneric(int tile);

}  // namespace caffe

#endif  // CAFFE_LAYERS_WINOGRAD_KERNELS_HPP_

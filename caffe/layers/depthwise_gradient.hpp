#ifndef CAFFE_LAYERS_DEPTHWISE_GRADIENT_HPP_
#define CAFFE_LAYERS_DEPTHWISE_GRADIENT_HPP_

#include "caffe/layers/float_convolution.hpp"

namespace caffe {

/// Whether each channel of the output comes from one of the input, with a kernel of its own.
bool IsDepthwise(const ConvGeometry& geometry);

/// Adds to the gradients of a depthwise convolution's weights, C x kernel_h x kernel_w, and of its
/// bias, C, where they are not null:
///     dw[c,i,j] += sum_{n,h,w} dy[n,c,h,w] x[n,c, h stride_h - pad_h + i dilation_h,
///                                                 w stride_w - pad_w + j dilation_w]
///     db[c]     += sum_{n,h,w} dy[n,c,h,w]
/// x and dy lie in blocks of 1, 8 or 16 channels (util/channel_blocks.hpp). Each channel's x and
/// dy are read once per element of the kernel: for images so small that they stay in the cache.
/// Threads share the channels; the sums do not depend on how many there are.
void AddDepthwiseGradient(const ConvGeometry& geometry, int block, const float* x, const float* dy,
                          float* dw, float* db);

}  // namespace caffe

#endif  // CAFFE_LAYERS_DEPTHWISE_GRADIENT_HPP_

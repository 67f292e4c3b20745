#ifndef CAFFE_UTIL_CHANNEL_LOOPS_HPP_
#define CAFFE_UTIL_CHANNEL_LOOPS_HPP_

#include "caffe/util/channel_blocks.hpp"

namespace caffe {

// Loops over activations in any layout of channel_blocks.hpp, shared by the layers that work
// channel by channel. Per-channel arrays have groups * block entries, those beyond the last channel
// zero. Threads share images or channel groups; sums are formed per image and then in image order,
// so that results do not depend on the number of threads. float runs in the processor's vector
// instructions.

/// y = alpha[c] x + beta[c]; y may be x.
template <typename Dtype>
void ChannelAffine(const ChannelBlocks& layout, const Dtype* x, const Dtype* alpha,
                   const Dtype* beta, Dtype* y);

/// y = a[c] u + b[c] v + d[c]; y may be u or v.
template <typename Dtype>
void ChannelAffine2(const ChannelBlocks& layout, const Dtype* u, const Dtype* v, const Dtype* a,
                    const Dtype* b, const Dtype* d, Dtype* y);

/// sum[c] = sum u, dot[c] = sum u (v - shift[c]), over images and pixels; u may be v minus the
/// shift: with u null, sum[c] = sum (v - shift[c]) and dot[c] = sum (v - shift[c])^2.
template <typename Dtype>
void ChannelSums(const ChannelBlocks& layout, const Dtype* u, const Dtype* v, const Dtype* shift,
                 double* sum, double* dot);

// Element by element, on `count` elements of any layout.
/// y = max(x, 0) + slope min(x, 0)
template <typename Dtype>
void ReluForward(size_t count, Dtype slope, const Dtype* x, Dtype* y);
/// dx = dy (x > 0 ? 1 : slope)
template <typename Dtype>
void ReluBackward(size_t count, Dtype slope, const Dtype* x, const Dtype* dy, Dtype* dx);
/// y = a u + b v
template <typename Dtype>
void WeightedSum(size_t count, Dtype a, const Dtype* u, Dtype b, const Dtype* v, Dtype* y);
/// y = x
template <typename Dtype>
void CopyRange(size_t count, const Dtype* x, Dtype* y);

}  // namespace caffe

#endif  // CAFFE_UTIL_CHANNEL_LOOPS_HPP_

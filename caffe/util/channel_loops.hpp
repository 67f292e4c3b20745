#ifndef CAFFE_UTIL_CHANNEL_LOOPS_HPP_
#define CAFFE_UTIL_CHANNEL_LOOPS_HPP_

#include "util/channel_blocks.hpp"

namespace caffe {

// Loops over activations in any layout of channel_blocks.hpp, shared by the layers that work
// channel by channel. Per-channel arrays have groups * block entries, those beyond the last channel
// zero. Threads share images or channel groups; sums are formed per image and then in image order,
// so that results do not depend on the number of threads. float runs in the processor's vector
// instructions.

/// A ReLU that follows an affine map of v: r(t) = max(t, 0) + slope min(t, 0), t = alpha[c] v +
/// beta[c]. Its derivative is 1 where t > 0, else slope.
template <typename Dtype>
struct ChannelRelu {
  const Dtype* alpha;
  const Dtype* beta;
  Dtype slope;
};

/// y = r(alpha[c] x + beta[c]); slope 1 means no ReLU. y may be x.
template <typename Dtype>
void ChannelAffine(const ChannelBlocks& layout, const Dtype* x, const Dtype* alpha,
                   const Dtype* beta, Dtype* y, Dtype slope = Dtype(1));

/// y = a[c] g + b[c] v + d[c], where g is u, or with `relu` u r'(v). y may be u or v.
template <typename Dtype>
void ChannelAffine2(const ChannelBlocks& layout, const Dtype* u, const Dtype* v, const Dtype* a,
                    const Dtype* b, const Dtype* d, Dtype* y,
                    const ChannelRelu<Dtype>* relu = nullptr);

/// sum[c] = sum g, dot[c] = sum g (v - shift[c]), over images and pixels, where g is u, or with
/// `relu` u r'(v); with u null, g = v - shift[c].
template <typename Dtype>
void ChannelSums(const ChannelBlocks& layout, const Dtype* u, const Dtype* v, const Dtype* shift,
                 double* sum, double* dot, const ChannelRelu<Dtype>* relu = nullptr);

// Element by element, on `count` elements of any layout.
/// y = max(x, 0) + slope min(x, 0)
template <typename Dtype>
void ReluForward(size_t count, Dtype slope, const Dtype* x, Dtype* y);
/// dx = dy (x > 0 ? 1 : slope); x may be r(x) when slope >= 0
template <typename Dtype>
void ReluBackward(size_t count, Dtype slope, const Dtype* x, const Dtype* dy, Dtype* dx);
/// y = r(a u + b v); slope 1 means no ReLU. What has weight 0 is left out: 0 times infinity is 0
/// here.
template <typename Dtype>
void WeightedSum(size_t count, Dtype a, const Dtype* u, Dtype b, const Dtype* v, Dtype* y,
                 Dtype slope = Dtype(1));
/// y = x
template <typename Dtype>
void CopyRange(size_t count, const Dtype* x, Dtype* y);

}  // namespace caffe

#endif  // CAFFE_UTIL_CHANNEL_LOOPS_HPP_

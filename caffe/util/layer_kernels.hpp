#ifndef CAFFE_UTIL_LAYER_KERNELS_HPP_
#define CAFFE_UTIL_LAYER_KERNELS_HPP_

// Parts of the GPU halves of several layers; for .cu files.

#include "caffe/util/device_launch.hpp"
#include "caffe/util/divisor.hpp"
#include "util/channel_blocks.hpp"

namespace caffe {

/// The channel of element i of an array num x channels x spatial.
struct ChannelIndex {
  Divisor spatial, channels;
  explicit ChannelIndex(const ChannelBlocks& layout)
      : spatial(layout.spatial), channels(layout.channels) {}
  CAFFE_HOST_DEVICE int operator()(int i) const { return channels.Remainder(spatial.Quotient(i)); }
};

namespace internal {

template <typename Dtype>
struct CopyElementOfRow {
  Divisor row_size;
  const Dtype* from;
  int from_stride;
  Dtype* to;
  int to_stride;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int row = row_size.Quotient(i), at = row_size.Remainder(i);
    to[size_t(row) * to_stride + at] = from[size_t(row) * from_stride + at];
  }
};

}  // namespace internal

/// Copies `rows` rows of `size` values, which begin `from_stride` and `to_stride` values apart.
template <typename Dtype>
void CopyRows(int rows, int size, const Dtype* from, int from_stride, Dtype* to, int to_stride) {
  ForEachIndex(rows * size,
               internal::CopyElementOfRow<Dtype>{Divisor(size), from, from_stride, to, to_stride});
}

}  // namespace caffe

#endif  // CAFFE_UTIL_LAYER_KERNELS_HPP_

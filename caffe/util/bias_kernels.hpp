#ifndef CAFFE_UTIL_BIAS_KERNELS_HPP_
#define CAFFE_UTIL_BIAS_KERNELS_HPP_

// The bias of layers whose output is num x channels x inner, in GPU mode; for .cu files.

#include "caffe/util/device_launch.hpp"

namespace caffe {

template <typename Dtype>
struct BiasFill {
  int channels, inner;
  const Dtype* bias;
  Dtype* y;
  CAFFE_HOST_DEVICE void operator()(int i) const { y[i] = bias[i / inner % channels]; }
};

/// A block per channel.
template <typename Dtype>
struct BiasGradient {
  int num, channels, inner;
  const Dtype* dy;
  Dtype* dbias;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int c = block.index();
    const Dtype sum = block.Sum<Dtype>(num * inner, [&](int i) {
      return dy[(int64_t{i / inner} * channels + c) * inner + i % inner];
    });
    block.Run(1, [&](int) { dbias[c] += sum; });
  }
};

/// Every output becomes its channel's bias.
template <typename Dtype>
void FillWithBias(int num, int channels, int inner, const Dtype* bias, Dtype* y) {
  ForEachIndex(num * channels * inner, BiasFill<Dtype>{channels, inner, bias, y});
}

/// dbias[c] += the sum of the outputs' gradients of channel c.
template <typename Dtype>
void AddBiasGradient(int num, int channels, int inner, const Dtype* dy, Dtype* dbias) {
  const int threads = num * inner > 1024 ? 256 : 64;
  ForEachBlock(channels, threads, 0, BiasGradient<Dtype>{num, channels, inner, dy, dbias});
}

}  // namespace caffe

#endif  // CAFFE_UTIL_BIAS_KERNELS_HPP_

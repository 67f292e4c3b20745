#ifndef CAFFE_UTIL_LAYER_KERNELS_HPP_
#define CAFFE_UTIL_LAYER_KERNELS_HPP_

// Parts of the GPU halves of several layers; for .cu files.

#include "caffe/util/device_launch.hpp"
#include "caffe/util/device_workspace.hpp"
#include "util/channel_blocks.hpp"

namespace caffe {

/// Divides numbers in [0, 2^31) by a multiplication and a shift, as GPUs have no integer division
/// (Granlund and Montgomery, "Division by invariant integers using multiplication", PLDI 1994).
class Divisor {
 public:
  /// 0 counts as 1: empty arrays have no element to divide the index of.
  explicit Divisor(int divisor) : divisor_(divisor > 0 ? divisor : 1) {
    while (int64_t{1} << shift_ < divisor_) ++shift_;
    const uint64_t rest = (uint64_t{1} << shift_) - divisor_;
    multiplier_ = static_cast<uint32_t>((rest << 32) / divisor_ + 1);
  }
  CAFFE_HOST_DEVICE int Quotient(int i) const {
    const uint32_t n = static_cast<uint32_t>(i);
    const uint32_t high = static_cast<uint32_t>((uint64_t{n} * multiplier_) >> 32);
    return static_cast<int>((high + n) >> shift_);
  }
  CAFFE_HOST_DEVICE int Remainder(int i) const { return i - Quotient(i) * divisor_; }

 private:
  int divisor_;
  int shift_ = 0;
  uint32_t multiplier_;
};

/// The channel of element i of an array num x channels x spatial.
struct ChannelIndex {
  Divisor spatial, channels;
  explicit ChannelIndex(const ChannelBlocks& layout)
      : spatial(layout.spatial), channels(layout.channels) {}
  CAFFE_HOST_DEVICE int operator()(int i) const { return channels.Remainder(spatial.Quotient(i)); }
};

namespace internal {

// Each block sums one part of a channel's elements: thread t those at t, t + threads, ..., in
// Dtype; what the threads have is added in double.
template <typename Dtype, class Terms>
struct SumPartOfChannel {
  Terms terms;
  int channels, spatial;
  int count, parts, part;  // elements of a channel; their parts; elements of a part
  int threads;
  double* sums;  // channels x parts x 2
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int c = block.index() / parts;
    const int64_t begin = int64_t{block.index() % parts} * part;
    const int64_t size = count - begin < part ? count - begin : part;
    const int images = threads / spatial, pixels = threads % spatial;  // from one to the next
    Dtype* own = block.Shared<Dtype>(2 * threads);
    block.Run(threads, [&](int t) {
      Dtype pair[2] = {0, 0};
      int n = static_cast<int>((begin + t) / spatial), s = static_cast<int>((begin + t) % spatial);
      for (int64_t i = t; i < size; i += threads) {
        terms(c, (n * channels + c) * spatial + s, pair);
        n += images;
        s += pixels;
        if (s >= spatial) {
          s -= spatial;
          ++n;
        }
      }
      own[t] = pair[0];
      own[threads + t] = pair[1];
    });
    const double first = block.Sum<double>(threads, [&](int t) { return double(own[t]); });
    const double second =
        block.Sum<double>(threads, [&](int t) { return double(own[threads + t]); });
    block.Run(1, [&](int) {
      sums[int64_t{block.index()} * 2] = first;
      sums[int64_t{block.index()} * 2 + 1] = second;
    });
  }
};

template <class Finish>
struct SumPartsOfChannel {
  Finish finish;
  int parts;
  const double* sums;
  CAFFE_HOST_DEVICE void operator()(int c) const {
    double first = 0, second = 0;
    for (int64_t p = int64_t{c} * parts; p < (int64_t{c} + 1) * parts; ++p) {
      first += sums[2 * p];
      second += sums[2 * p + 1];
    }
    finish(c, first, second);
  }
};

template <typename Dtype, class Terms, class Finish>
struct SumSmallChannel {
  Terms terms;
  Finish finish;
  int num, channels, spatial;
  CAFFE_HOST_DEVICE void operator()(int c) const {
    Dtype pair[2] = {0, 0};
    for (int n = 0; n < num; ++n) {
      for (int s = 0; s < spatial; ++s) terms(c, (n * channels + c) * spatial + s, pair);
    }
    finish(c, double(pair[0]), double(pair[1]));
  }
};

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

/// Two sums over images and pixels for each channel c of an array num x channels x spatial (block
/// 1): finish(c, first, second) gets, as doubles, the sums of what terms(c, i, pair) adds to
/// Dtype pair[0] and pair[1] for the elements i of c. The order of the additions depends on the
/// layout alone.
template <typename Dtype, class Terms, class Finish>
void SumChannels(const ChannelBlocks& layout, const Terms& terms, const Finish& finish) {
  const int channels = layout.channels, spatial = layout.spatial;
  if (channels <= 0) return;
  const int count = layout.num * spatial;
  // For a block of threads that is too little.
  if (count <= 32) {
    ForEachIndex(channels, internal::SumSmallChannel<Dtype, Terms, Finish>{
                               terms, finish, layout.num, channels, spatial});
    return;
  }
  // Few channels are divided, so that there are blocks for all multiprocessors.
  const int wanted = channels < 512 ? 512 / channels : 1, most = (count - 1) / 2048 + 1;
  int parts = wanted < most ? wanted : most;
  if (parts > 128) parts = 128;
  const int part = (count - 1) / parts + 1;
  const int threads = part < 1024 ? 64 : 256;
  DeviceWorkspace workspace;
  double* sums = workspace.Get<double>(size_t(channels) * parts * 2);
  ForEachBlock(channels * parts, threads, 2 * threads * sizeof(Dtype),
               internal::SumPartOfChannel<Dtype, Terms>{terms, channels, spatial, count, parts,
                                                        part, threads, sums});
  ForEachIndex(channels, internal::SumPartsOfChannel<Finish>{finish, parts, sums});
}

/// Copies `rows` rows of `size` values, which begin `from_stride` and `to_stride` values apart.
template <typename Dtype>
void CopyRows(int rows, int size, const Dtype* from, int from_stride, Dtype* to, int to_stride) {
  ForEachIndex(rows * size,
               internal::CopyElementOfRow<Dtype>{Divisor(size), from, from_stride, to, to_stride});
}

}  // namespace caffe

#endif  // CAFFE_UTIL_LAYER_KERNELS_HPP_

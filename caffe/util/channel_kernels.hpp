#ifndef CAFFE_UTIL_CHANNEL_KERNELS_HPP_
#define CAFFE_UTIL_CHANNEL_KERNELS_HPP_

// Sums over the images and pixels of each channel of an array num x channels x spatial (block 1),
// and functions of its elements that depend on the channel; for .cu files.

#include "caffe/util/device_launch.hpp"
#include "caffe/util/device_vectors.hpp"
#include "caffe/util/device_workspace.hpp"
#include "caffe/util/divisor.hpp"
#include "util/channel_blocks.hpp"

namespace caffe {

/// How blocks of threads share the elements of the channels: each block has a part of one channel.
/// A step is `width` elements, neighbours in memory.
class ChannelParts {
 public:
  /// About `blocks` blocks in all; fewer, where there is not a step for each of their threads.
  ChannelParts(const ChannelBlocks& layout, int width, int blocks)
      : width_(width),
        channels_(layout.channels),
        spatial_(layout.spatial),
        steps_(layout.num * (layout.spatial / width)),
        row_(layout.spatial / width) {
    threads_ = steps_ < 256 ? (steps_ + Block::kWarp - 1) / Block::kWarp * Block::kWarp : 256;
    if (threads_ == 0) threads_ = Block::kWarp;
    const int wanted = channels_ < blocks ? blocks / (channels_ > 0 ? channels_ : 1) : 1;
    const int rounds = (steps_ - 1) / (wanted * threads_) + 1;  // steps of a thread
    part_ = rounds * threads_;
    const int parts = (steps_ - 1) / part_ + 1;
    parts_ = Divisor(parts);
    count_ = parts;
  }

  /// What a block computes: steps begin .. begin + size - 1 of a channel, its index-th part.
  struct Part {
    int channel, index, begin, size;
  };
  CAFFE_HOST_DEVICE Part OfBlock(int block) const {
    const int channel = parts_.Quotient(block), index = block - channel * count_;
    const int begin = index * part_, left = steps_ - begin;
    return {channel, index, begin, left < part_ ? left : part_};
  }
  /// The first element of a step.
  CAFFE_HOST_DEVICE int Element(int channel, int step) const {
    const int n = row_.Quotient(step), s = row_.Remainder(step) * width_;
    return (n * channels_ + channel) * spatial_ + s;
  }
  int channels() const { return channels_; }
  /// Parts of a channel.
  int count() const { return count_; }
  int blocks() const { return channels_ * count_; }
  int threads() const { return threads_; }

 private:
  int width_, channels_, spatial_;
  int steps_;  // of a channel
  Divisor row_;
  int threads_, part_, count_;
  Divisor parts_{1};
};

/// Two sums for each channel, as they stand in the device's memory: channels x parts x 2.
struct ChannelPartSums {
  int parts = 0;
  const double* sums = nullptr;
};

/// The arrays of MapChannels, from one or two to one.
template <typename Dtype>
struct ChannelMap {
  const Dtype *u, *v;
  Dtype* kept;  // gets u; may be null
  Dtype* y;     // may be u or v
};

namespace internal {

inline size_t PairBytes(int threads) {
  return (Block::SumsCount(2, threads) + 4) * sizeof(double);
}

// Thread t adds the steps at t, t + threads, ... of a part in Dtype; what the threads have is added
// in double.
template <typename Dtype, int kWidth, class Terms, class Take>
CAFFE_HOST_DEVICE void SumPart(Block& block, const ChannelParts& parts,
                               const ChannelParts::Part& part, const Terms& terms,
                               const Take& take) {
  const int threads = block.threads();
  double* scratch = block.Shared<double>(Block::SumsCount(2, threads));
  const auto channel = terms.Of(part.channel);
  block.Sums<2, double>(
      threads, scratch,
      [&](int t, double* own) {
        Dtype pair[2] = {0, 0};
#ifdef __CUDA_ARCH__
#pragma unroll 2  // so that a thread waits for two steps at a time
#endif
        for (int i = t; i < part.size; i += threads) {
          channel.template Add<kWidth>(parts.Element(part.channel, part.begin + i), pair);
        }
        own[0] += pair[0];
        own[1] += pair[1];
      },
      take);
}

template <typename Dtype, int kWidth, class Terms>
struct SumPartOfChannel {
  Terms terms;
  ChannelParts parts;
  double* sums;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const ChannelParts::Part part = parts.OfBlock(block.index());
    SumPart<Dtype, kWidth>(block, parts, part, terms, [&](int j, double sum) {
      sums[int64_t{block.index()} * 2 + j] = sum;
      if (part.index == 0 && j == 0) terms.Keep(part.channel);
    });
  }
};

template <typename Dtype, int kWidth, class Terms, class Finish>
struct SumWholeChannel {
  Terms terms;
  Finish finish;
  ChannelParts parts;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    double* totals = block.Shared<double>(2);
    SumPart<Dtype, kWidth>(block, parts, parts.OfBlock(block.index()), terms,
                           [&](int j, double sum) { totals[j] = sum; });
    block.Run(1, [&](int) { finish(block.index(), totals[0], totals[1]); });
  }
};

// The two sums of channel c, for all threads.
CAFFE_HOST_DEVICE inline const double* AddParts(Block& block, const ChannelPartSums& of, int c) {
  double* totals = block.Shared<double>(2);
  double* scratch = block.Shared<double>(Block::SumsCount(2, block.threads()));
  const double* sums = of.sums + int64_t{c} * of.parts * 2;
  block.Sums<2, double>(
      of.parts, scratch,
      [&](int p, double* own) {
        own[0] += sums[2 * p];
        own[1] += sums[2 * p + 1];
      },
      [&](int j, double sum) { totals[j] = sum; });
  return totals;
}

template <class Finish>
struct FinishChannel {
  Finish finish;
  ChannelPartSums sums;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const double* totals = AddParts(block, sums, block.index());
    block.Run(1, [&](int) { finish(block.index(), totals[0], totals[1]); });
  }
};

// Each block adds up its channel's sums once more, which takes less time than a kernel for it. Two
// steps at a time: what a thread reads of the second need not wait for the first.
template <typename Dtype, int kWidth, class Finish>
struct MapPartOfChannel {
  Finish finish;
  ChannelPartSums sums;
  ChannelParts parts;
  ChannelMap<Dtype> map;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    typedef Neighbours<Dtype, kWidth> Values;
    const ChannelParts::Part part = parts.OfBlock(block.index());
    const int c = part.channel, threads = block.threads();
    const double* totals = AddParts(block, sums, c);
    const auto f = finish.Of(c, totals[0], totals[1]);
    if (part.index == 0) block.Run(1, [&](int) { finish(c, totals[0], totals[1]); });
    const auto store = [&](int at, const Values& u, const Values& v) {
      if (map.kept) StoreNeighbours(u, map.kept + at);
      Values y;
      for (int k = 0; k < kWidth; ++k) y.at[k] = f(u.at[k], v.at[k]);
      StoreNeighbours(y, map.y + at);
    };
    block.Run(threads, [&](int t) {
      for (int i = t; i < part.size; i += 2 * threads) {
        const bool has_second = i + threads < part.size;
        const int at[2] = {parts.Element(c, part.begin + i),
                           parts.Element(c, part.begin + i + (has_second ? threads : 0))};
        Values u[2], v[2];
        for (int k = 0; k < 2; ++k) {
          u[k] = LoadNeighbours<kWidth>(map.u + at[k]);
          v[k] = Finish::kReadsV ? LoadNeighbours<kWidth>(map.v + at[k]) : u[k];
        }
        store(at[0], u[0], v[0]);
        if (has_second) store(at[1], u[1], v[1]);
      }
    });
  }
};

template <typename Dtype, int kWidth, class Terms>
ChannelPartSums SumWith(const ChannelBlocks& layout, const Terms& terms, DeviceWorkspace* memory) {
  const ChannelParts parts(layout, kWidth, 512);
  double* sums = memory->Get<double>(size_t(parts.blocks()) * 2);
  ForEachBlock(parts.blocks(), parts.threads(), PairBytes(parts.threads()),
               SumPartOfChannel<Dtype, kWidth, Terms>{terms, parts, sums});
  return {parts.count(), sums};
}

template <typename Dtype, int kWidth, class Finish>
void MapWith(const ChannelBlocks& layout, const ChannelPartSums& sums, const Finish& finish,
             const ChannelMap<Dtype>& map) {
  const ChannelParts parts(layout, kWidth, 1024);
  ForEachBlock(parts.blocks(), parts.threads(), PairBytes(parts.threads()),
               MapPartOfChannel<Dtype, kWidth, Finish>{finish, sums, parts, map});
}

// Terms that are a function of one element.
template <typename Dtype, class Terms>
struct TermsOfElement {
  struct Channel {
    const Terms& terms;
    int c;
    template <int kWidth>
    CAFFE_HOST_DEVICE void Add(int at, Dtype* pair) const {
      for (int k = 0; k < kWidth; ++k) terms(c, at + k, pair);
    }
  };
  Terms terms;
  CAFFE_HOST_DEVICE Channel Of(int c) const { return {terms, c}; }
  CAFFE_HOST_DEVICE void Keep(int) const {}
};

}  // namespace internal

/// Two sums for each channel: terms.Of(c).Add<kWidth>(i, pair) adds to Dtype pair[0] and pair[1]
/// what the elements i .. i + kWidth - 1, all of channel c, have to give; terms.Keep(c) is called
/// once. kWidth is 4 or 1; `four` is FourAtOnce(layout.spatial, the arrays of terms). The sums are
/// in `memory`. The order of the additions depends on the layout and on `four` alone.
template <typename Dtype, class Terms>
ChannelPartSums SumChannelParts(const ChannelBlocks& layout, bool four, const Terms& terms,
                                DeviceWorkspace* memory) {
  return four ? internal::SumWith<Dtype, 4>(layout, terms, memory)
              : internal::SumWith<Dtype, 1>(layout, terms, memory);
}

/// finish(c, first, second) with the two sums of each channel.
template <class Finish>
void FinishChannels(int channels, const ChannelPartSums& sums, const Finish& finish) {
  const int threads = sums.parts > Block::kWarp ? 128 : int{Block::kWarp};
  ForEachBlock(channels, threads, internal::PairBytes(threads),
               internal::FinishChannel<Finish>{finish, sums});
}

/// y = f(u, v) with the function f = finish.Of(c, first, second) of each channel's two sums (0
/// where there are none), and finish(c, first, second) once. The former, which many threads
/// compute, must not read what the latter writes. Finish::kReadsV: whether there is a v. `four` is
/// FourAtOnce(layout.spatial, the arrays).
template <typename Dtype, class Finish>
void MapChannels(const ChannelBlocks& layout, bool four, const ChannelPartSums& sums,
                 const Finish& finish, const ChannelMap<Dtype>& map) {
  if (four) {
    internal::MapWith<Dtype, 4>(layout, sums, finish, map);
  } else {
    internal::MapWith<Dtype, 1>(layout, sums, finish, map);
  }
}

/// Two sums for each channel: finish(c, first, second) gets, as doubles, the sums of what
/// terms(c, i, pair) adds to Dtype pair[0] and pair[1] for the elements i of c. The order of the
/// additions depends on the layout alone.
template <typename Dtype, class Terms, class Finish>
void SumChannels(const ChannelBlocks& layout, const Terms& terms, const Finish& finish) {
  typedef internal::TermsOfElement<Dtype, Terms> Each;
  if (layout.channels <= 0) return;
  const ChannelParts parts(layout, 1, 512);
  if (parts.count() == 1) {
    ForEachBlock(parts.blocks(), parts.threads(), internal::PairBytes(parts.threads()),
                 internal::SumWholeChannel<Dtype, 1, Each, Finish>{{terms}, finish, parts});
    return;
  }
  DeviceWorkspace memory;
  FinishChannels(layout.channels, SumChannelParts<Dtype>(layout, false, Each{terms}, &memory),
                 finish);
}

}  // namespace caffe

#endif  // CAFFE_UTIL_CHANNEL_KERNELS_HPP_

#ifndef METAPERTURB_UTIL_CHANNEL_BLOCKS_HPP_
#define METAPERTURB_UTIL_CHANNEL_BLOCKS_HPP_

#include <cstddef>
#include <cstdint>

namespace caffe {

/// A memory layout of an array N x C x S (S: all spatial axes together): channels in groups of
/// `block` that lie side by side,
///     [N][ceil(C / block)][S][block],
/// which is oneDNN's nChw8c or nChw16c. block = 1 is Caffe's plain N x C x S. Lanes beyond C are
/// zero.
struct ChannelBlocks {
  int block = 1;
  int num = 0;
  int channels = 0;
  int spatial = 0;

  int groups() const { return (channels + block - 1) / block; }
  size_t count() const { return size_t(num) * groups() * block * spatial; }
  /// Whether the bytes are those of the plain layout.
  bool IsPlain() const { return block == 1 || (spatial == 1 && channels % block == 0); }
  bool operator==(const ChannelBlocks& o) const {
    return block == o.block && num == o.num && channels == o.channels && spatial == o.spatial;
  }
  bool operator!=(const ChannelBlocks& o) const { return !(*this == o); }
};

/// Copies between the plain layout and `layout`; threads share the work.
void PlainToBlocks(const ChannelBlocks& layout, const float* plain, float* blocked);
void BlocksToPlain(const ChannelBlocks& layout, const float* blocked, float* plain);

/// How many such copies this process has made: a net whose layers agree on a layout makes none
/// inside.
uint64_t ReorderCount();

/// The block size that this processor's vector units want: 16 with AVX-512, else 8.
int NativeChannelBlock();

}  // namespace caffe

#endif  // METAPERTURB_UTIL_CHANNEL_BLOCKS_HPP_

#include "util/channel_blocks.hpp"

#include <algorithm>
#include <atomic>

#include "util/cpu_features.hpp"

namespace caffe {

namespace {

std::atomic<uint64_t> reorder_count{0};

// One channel group of one image: S x block <-> channels x S, in tiles that stay in the first
// cache.
const int kTile = 64;

void GroupToBlocks(int channels, int block, int spatial, const float* plain, float* blocked) {
  for (int s0 = 0; s0 < spatial; s0 += kTile) {
    const int s1 = std::min(spatial, s0 + kTile);
    for (int c = 0; c < channels; ++c) {
      for (int s = s0; s < s1; ++s) blocked[s * block + c] = plain[c * spatial + s];
    }
    for (int c = channels; c < block; ++c) {
      for (int s = s0; s < s1; ++s) blocked[s * block + c] = 0;
    }
  }
}

void GroupToPlain(int channels, int block, int spatial, const float* blocked, float* plain) {
  for (int s0 = 0; s0 < spatial; s0 += kTile) {
    const int s1 = std::min(spatial, s0 + kTile);
    for (int c = 0; c < channels; ++c) {
      for (int s = s0; s < s1; ++s) plain[c * spatial + s] = blocked[s * block + c];
    }
  }
}

template <class Body>
void ForEachGroup(const ChannelBlocks& layout, const Body& body) {
  const int groups = layout.groups();
#pragma omp parallel for collapse(2) schedule(static)
  for (int n = 0; n < layout.num; ++n) {
    for (int g = 0; g < groups; ++g) {
      const int first = g * layout.block;
      body(std::min(layout.block, layout.channels - first),
           (size_t(n) * layout.channels + first) * layout.spatial,
           (size_t(n) * groups + g) * layout.block * layout.spatial);
    }
  }
  ++reorder_count;
}

}  // namespace

void PlainToBlocks(const ChannelBlocks& layout, const float* plain, float* blocked) {
  ForEachGroup(layout, [&](int channels, size_t plain_at, size_t blocked_at) {
    GroupToBlocks(channels, layout.block, layout.spatial, plain + plain_at, blocked + blocked_at);
  });
}

void BlocksToPlain(const ChannelBlocks& layout, const float* blocked, float* plain) {
  ForEachGroup(layout, [&](int channels, size_t plain_at, size_t blocked_at) {
    GroupToPlain(channels, layout.block, layout.spatial, blocked + blocked_at, plain + plain_at);
  });
}

uint64_t ReorderCount() {
  return reorder_count;
}

int NativeChannelBlock() {
  static const int block = CpuHasAvx512() ? 16 : 8;
  return block;
}

}  // namespace caffe

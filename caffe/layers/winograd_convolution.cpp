#include "caffe/layers/winograd_convolution.hpp"

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "caffe/util/channel_loops.hpp"
#include "util/channel_blocks.hpp"
#include "util/cpu_features.hpp"
#include "util/scratch.hpp"

namespace caffe {

namespace {

thread_local Scratch thread_scratch;  // of one thread's tiles
thread_local Scratch shared_scratch;  // what all threads of a convolution read or add to

constexpr size_t kTileFloats = 48 << 10;  // of a thread's scratch: they stay in its L2 cache
constexpr size_t kSumFloats = 2 << 20;    // of all threads' sums of the weights' gradient

int CeilDiv(int a, int b) {
  return (a + b - 1) / b;
}

int Groups(int channels, int block) {
  return CeilDiv(channels, block);
}

// How many tiles a thread works on at a time. Each batch reads all transformed weights again, so
// wide layers take more tiles than fit.
int TilesAtOnce(int positions, int in, int out, int rows) {
  const int fit = static_cast<int>(kTileFloats / positions / (in + out));
  const int least = size_t(in) * out >= 256 * 256 ? 48 : 24;
  return std::clamp(fit, least, 96) / rows * rows;
}

// Part `i` of `parts` of the range [0, count), in multiples of `unit`.
std::pair<int, int> Part(int count, int unit, int i, int parts) {
  const int64_t units = CeilDiv(count, unit);
  return {std::min<int>(count, units * i / parts * unit),
          std::min<int>(count, units * (i + 1) / parts * unit)};
}

// Multiplications for an image and a pair of channels.
int Products(const ConvGeometry& g, int tile) {
  return CeilDiv(g.out_h, tile) * CeilDiv(g.out_w, tile) * (tile + 2) * (tile + 2);
}

int BestTile(const ConvGeometry& g) {
  return Products(g, 2) < Products(g, 4) ? 2 : 4;
}

}  // namespace

const WinogradKernels* BestWinogradKernels(int tile) {
#ifdef __x86_64__
  if (NativeChannelBlock() == 16) return WinogradKernelsAvx512(tile);
  return CpuHasAvx2() ? WinogradKernelsAvx2(tile) : nullptr;
#else
  return WinogradKernelsGeneric(tile);
#endif
}

bool WinogradConvolution::Suits(const ConvGeometry& g) {
  const WinogradKernels* kernels = BestWinogradKernels(4);
  const bool form = g.kernel_h == 3 && g.kernel_w == 3 && g.stride_h == 1 && g.stride_w == 1 &&
                    g.dilation_h == 1 && g.dilation_w == 1 && g.group == 1 && g.pad_h <= 2 &&
                    g.pad_w <= 2;
  if (!kernels || !form) return false;
  // Images with few channels enter plain.
  if (g.in_channels < kernels->block || g.out_channels < kernels->block) return false;
  const auto filled = [kernels](int channels) {
    return double(channels) / (CeilDiv(channels, kernels->block) * kernels->block);
  };
  const double share = Products(g, BestTile(g)) / (9.0 * g.out_h * g.out_w);
  return share <= 0.7 * filled(g.in_channels) * filled(g.out_channels);
}

WinogradConvolution::WinogradConvolution(const ConvGeometry& g,
                                         const WinogradKernels* (*kernels)(int tile))
    : FloatConvolution(g), tile_(BestTile(g)), kernels_(*kernels(tile_)) {
  const int in = Groups(g.in_channels, kernels_.block);
  const int out = Groups(g.out_channels, kernels_.block);
  forward_ = {g.num, in, g.in_h, g.in_w, out, g.out_h, g.out_w, g.pad_h, g.pad_w};
  backward_ = {g.num, out, g.out_h, g.out_w, in, g.in_h, g.in_w, 2 - g.pad_h, 2 - g.pad_w};
  if (g.bias) {
    bias_.resize(out * kernels_.block);
    bias_sums_.resize(2 * bias_.size());
  }
}

void WinogradConvolution::Convolve(const WinogradShape& s, const float* src, const float* weights,
                                   bool transposed, const float* bias, float* dst) {
  const int in = s.in_groups * kernels_.block, out = s.out_groups * kernels_.block;
  const int channels_in = transposed ? geometry().out_channels : geometry().in_channels;
  const int channels_out = transposed ? geometry().in_channels : geometry().out_channels;
  const ptrdiff_t outer = ptrdiff_t(geometry().in_channels) * 9;
  float* transformed = shared_scratch.Get(size_t(positions()) * in * out);
  const int panels = CeilDiv(s.out_groups, kWinogradPanel);
  const int at_once = TilesAtOnce(positions(), in, out, kernels_.rows);
  const int threads = omp_get_max_threads();
  // As many batches for each thread.
  const int batches = CeilDiv(CeilDiv(s.tiles(tile_), at_once), threads) * threads;
#pragma omp parallel num_threads(threads)
  {
    float* scratch =
        thread_scratch.Get(kernels_.convolve_scratch(s.in_groups, s.out_groups, at_once));
#pragma omp for schedule(static)
    for (int panel = 0; panel < panels; ++panel) {
      kernels_.transform_weights(weights, channels_out, channels_in, transposed ? 9 : outer,
                                 transposed ? outer : 9, transposed, panel, transformed);
    }
#pragma omp for schedule(static)
    for (int batch = 0; batch < batches; ++batch) {
      const auto tiles = Part(s.tiles(tile_), kernels_.rows, batch, batches);
      if (tiles.first == tiles.second) continue;
      kernels_.convolve(s, src, transformed, bias, tiles.first, tiles.second, scratch, dst);
    }
  }
}

void WinogradConvolution::Forward(const float* src, const float* weights, const float* bias,
                                  float* dst) {
  if (bias) std::copy_n(bias, geometry().out_channels, bias_.begin());
  Convolve(forward_, src, weights, false, bias ? bias_.data() : nullptr, dst);
}

void WinogradConvolution::BackwardData(const float* dst_diff, const float* weights,
                                       float* src_diff) {
  Convolve(backward_, dst_diff, weights, true, nullptr, src_diff);
}

void WinogradConvolution::BackwardWeights(const float* src, const float* dst_diff,
                                          float* weights_diff, float* bias_diff) {
  const ConvGeometry& g = geometry();
  if (bias_diff) {
    const ChannelBlocks layout = {kernels_.block, g.num, g.out_channels, g.out_h * g.out_w};
    std::fill(bias_.begin(), bias_.end(), 0.0f);
    ChannelSums<float>(layout, nullptr, dst_diff, bias_.data(), bias_sums_.data(),
                       bias_sums_.data() + bias_.size());
    for (int k = 0; k < g.out_channels; ++k) bias_diff[k] += static_cast<float>(bias_sums_[k]);
  }
  if (!weights_diff) return;

  const WinogradShape& s = forward_;
  const int in = s.in_groups * kernels_.block, out = s.out_groups * kernels_.block;
  const int threads = omp_get_max_threads();
  // Threads share the tiles, each with sums of its own, or where these would be large the output
  // channels; the inputs' transform, which is then repeated, is small beside such products.
  const size_t all = size_t(positions()) * in * out;
  int tile_parts = threads;
  while (tile_parts > 1 && tile_parts * all > kSumFloats) tile_parts = CeilDiv(tile_parts, 2);
  const int panels = CeilDiv(s.out_groups, kWinogradPanel);
  const int group_parts = std::min(CeilDiv(threads, tile_parts), panels);
  float* sums = shared_scratch.Get(all * tile_parts);
  const int widest = CeilDiv(panels, group_parts) * kWinogradPanel;
  const int at_once = TilesAtOnce(positions(), in, widest * kernels_.block, kernels_.rows);
#pragma omp parallel num_threads(threads)
  {
    float* scratch = thread_scratch.Get(kernels_.gradient_scratch(s.in_groups, widest, at_once));
#pragma omp for schedule(static)
    for (int part = 0; part < tile_parts * group_parts; ++part) {
      const auto groups = Part(s.out_groups, kWinogradPanel, part % group_parts, group_parts);
      const auto tiles = Part(s.tiles(tile_), 1, part / group_parts, tile_parts);
      // The sums of one range of output groups lie together, one array for each range of tiles.
      const size_t size =
          size_t(positions()) * in * (groups.second - groups.first) * kernels_.block;
      float* mine = sums + size_t(positions()) * in * groups.first * kernels_.block * tile_parts +
                    size * (part / group_parts);
      std::memset(mine, 0, size * sizeof(float));
      for (int begin = tiles.first; begin < tiles.second; begin += at_once) {
        kernels_.gradient(s, src, dst_diff, groups.first, groups.second, begin,
                          std::min(begin + at_once, tiles.second), scratch, mine);
      }
    }
#pragma omp for schedule(static)
    for (int c = 0; c < g.in_channels; ++c) {
      for (int part = 0; part < group_parts; ++part) {
        const auto groups = Part(s.out_groups, kWinogradPanel, part, group_parts);
        const size_t size =
            size_t(positions()) * in * (groups.second - groups.first) * kernels_.block;
        kernels_.add_gradient(
            sums + size_t(positions()) * in * groups.first * kernels_.block * tile_parts,
            tile_parts, size, g.out_channels, g.in_channels, groups.first, groups.second, c, c + 1,
            weights_diff);
      }
    }
  }
}

}  // namespace caffe

#ifndef METAPERTURB_LAYERS_METAPERTURB_GPU_PLANES_HPP_
#define METAPERTURB_LAYERS_METAPERTURB_GPU_PLANES_HPP_

// What MetaPerturb's GPU kernels share. A thread block works on one channel of one image, a part of
// some rows and columns at a time, or on all channels of one part: it loads the part with a margin
// of neighbouring pixels, zeros outside the image, into shared memory, where the 3x3 stencils read
// it. The kernels have hundreds of instructions per element: a thread computes a strip of pixels
// below each other, which share index computations and most of what their stencils read.

#include <cmath>

#include "caffe/util/device_launch.hpp"
#include "caffe/util/layer_kernels.hpp"
#include "layers/metaperturb_gpu.hpp"
#include "util/philox.hpp"

namespace metaperturb {

using caffe::Block;
using caffe::Divisor;

/// Pixels of a strip.
const int kStrip = 4;
/// Bytes of a part's pixels, about, where a block has one channel and where it has all of them, as
/// there are fewer of those blocks.
const int kPlaneBytes = 4096, kMeanBytes = 2048;
/// Threads of the blocks that go through all channels, unless they are started beside others.
const int kMeanThreads = 256;

/// A multiple of a warp, at most 256.
inline int ThreadsFor(int work) {
  const int most = 256, threads = (work + Block::kWarp - 1) / Block::kWarp * Block::kWarp;
  return threads < most ? threads : most;
}

CAFFE_HOST_DEVICE inline int Strips(int rows) {
  return (rows + kStrip - 1) / kStrip;
}

/// How images are divided into parts of `rows` (a multiple of kStrip) x `columns` (of 4, or the
/// width); those at the lower and right edge may be smaller.
struct Parts {
  int height, width, rows, columns;
  int across, count;  // parts beside each other, and in all
  Divisor by_columns, by_pitch1, by_pitch2;

  /// Of about `pixels` pixels.
  Parts(int height_, int width_, int pixels)
      : height(height_),
        width(width_),
        rows(0),
        columns(Columns(width_)),
        across((width_ + columns - 1) / columns),
        count(0),
        by_columns(columns),
        by_pitch1(columns + 2),
        by_pitch2(columns + 4) {
    const int most = 64;
    rows = pixels / columns < most ? pixels / columns : most;
    rows = Strips(rows < height ? rows : height) * kStrip;
    count = (height + rows - 1) / rows * across;
  }
  /// Threads of a block: one for two strips.
  int Threads() const { return ThreadsFor((rows / kStrip * columns + 1) / 2); }
  /// Bytes of a tile, and of Sums' scratch.
  template <typename Dtype>
  size_t TileBytes(int margin) const {
    return Rounded<Dtype>(TileRows(rows, margin) * (columns + 2 * margin));
  }
  template <typename Dtype>
  size_t SumsBytes(int sums) const {
    return Rounded<Dtype>(Block::SumsCount(sums, Threads()));
  }

  /// Strips end below the part, and those of one tile read another.
  static CAFFE_HOST_DEVICE int TileRows(int rows, int margin) {
    return Strips(rows + 2 * margin) * kStrip + 2;
  }

 private:
  // A wide image is divided evenly.
  static int Columns(int width) {
    const int most = 64, parts = (width + most - 1) / most;
    return parts < 2 ? width : ((width + parts - 1) / parts + 3) / 4 * 4;
  }
  template <typename Dtype>
  static size_t Rounded(int count) {
    return (count * sizeof(Dtype) + 15) / 16 * 16;
  }
};

/// One part: where it begins, and how many rows and columns it has.
struct Part {
  int h0, w0, rows, columns;
  CAFFE_HOST_DEVICE Part(const Parts& parts, int index) : h0(0), w0(0) {
    if (index > 0) {
      h0 = index / parts.across * parts.rows;
      w0 = index % parts.across * parts.columns;
    }
    rows = parts.height - h0 < parts.rows ? parts.height - h0 : parts.rows;
    columns = parts.width - w0 < parts.columns ? parts.width - w0 : parts.columns;
  }
};

/// step(r, q) for each strip of the part: rows r .. r + kStrip - 1 of column q. The rows of the
/// last strips may end below the part: who writes, asks.
template <class Step>
CAFFE_HOST_DEVICE inline void ForEachStrip(const Block& block, const Parts& parts, const Part& part,
                                           const Step& step) {
  block.Run(Strips(part.rows) * parts.columns, [&](int i) {
    const int strip = parts.by_columns.Quotient(i), q = i - strip * parts.columns;
    if (q < part.columns) step(strip * kStrip, q);
  });
}

/// The same with N sums: step(r, q, own) adds to own, take(j, sum) gets them (Block::Sums).
template <int N, typename Dtype, class Step, class Take>
CAFFE_HOST_DEVICE inline void SumOverStrips(const Block& block, const Parts& parts,
                                            const Part& part, Dtype* scratch, const Step& step,
                                            const Take& take) {
  block.Sums<N>(
      Strips(part.rows) * parts.columns, scratch,
      [&](int i, Dtype* own) {
        const int strip = parts.by_columns.Quotient(i), q = i - strip * parts.columns;
        if (q < part.columns) step(strip * kStrip, q, own);
      },
      take);
}

/// Values of a part with `margin` (1 or 2) more rows and columns on each side.
template <typename Dtype>
struct Tile {
  Dtype* values;
  int margin, pitch;
  Divisor by_pitch;
  CAFFE_HOST_DEVICE Tile(Block* block, const Parts& parts, int margin_)
      : margin(margin_),
        pitch(parts.columns + 2 * margin_),
        by_pitch(margin_ == 1 ? parts.by_pitch1 : parts.by_pitch2) {
    values = block->Shared<Dtype>(Parts::TileRows(parts.rows, margin) * pitch);
  }
  CAFFE_HOST_DEVICE Dtype* Pixel(int r, int q) const {
    return values + (r + margin) * pitch + q + margin;
  }
  CAFFE_HOST_DEVICE Dtype At(int r, int q) const { return *Pixel(r, q); }

  /// The tile's strips, its margins included. Those at the lower edge end in rows that are not
  /// used.
  CAFFE_HOST_DEVICE int CountStrips(const Part& part) const {
    return Strips(part.rows + 2 * margin) * pitch;
  }
  /// step(pixel, h, w) for strip i: `pixel` is where its first pixel lies, (h, w) which pixel of
  /// the image it is.
  template <class Step>
  CAFFE_HOST_DEVICE void AtStrip(const Part& part, int i, const Step& step) const {
    const int strip = by_pitch.Quotient(i), column = i - strip * pitch;
    step(values + strip * kStrip * pitch + column, part.h0 + strip * kStrip - margin,
         part.w0 + column - margin);
  }
  template <class Step>
  CAFFE_HOST_DEVICE void ForEachStrip(const Block& block, const Part& part,
                                      const Step& step) const {
    block.Run(CountStrips(part), [&](int i) { AtStrip(part, i, step); });
  }
  /// The part of a plane, H x W, and what is around it.
  CAFFE_HOST_DEVICE void Load(const Block& block, const Parts& parts, const Part& part,
                              const Dtype* plane) const {
    ForEachStrip(block, part, [&](Dtype* pixel, int h, int w) {
      const bool in_row = w >= 0 && w < parts.width;
      const Dtype* from = plane + (h * parts.width + w);
      for (int j = 0; j < kStrip; ++j) {
        const bool inside = in_row && h + j >= 0 && h + j < parts.height;
        pixel[j * pitch] = inside ? from[j * parts.width] : Dtype(0);
      }
    });
  }
};

/// A 3x3 kernel in registers.
template <typename Dtype>
struct Kernel3x3 {
  Dtype k[9];
  CAFFE_HOST_DEVICE explicit Kernel3x3(const Dtype* from) {
    for (int t = 0; t < 9; ++t) k[t] = from[t];
  }
};

/// A strip of a tile and the pixels around it.
template <typename Dtype>
struct Around {
  Dtype v[kStrip + 2][3];
  Around() = default;
  /// Of the tile's pixel (r, q) and those below it.
  CAFFE_HOST_DEVICE Around(const Tile<Dtype>& tile, int r, int q) {
    const Dtype* corner = tile.Pixel(r, q) - tile.pitch - 1;
    for (int i = 0; i < kStrip + 2; ++i) {
      for (int j = 0; j < 3; ++j) v[i][j] = corner[i * tile.pitch + j];
    }
  }
  /// kernel * tile at pixel j of the strip.
  CAFFE_HOST_DEVICE Dtype Stencil(const Kernel3x3<Dtype>& kernel, int j) const {
    Dtype sum = 0;
    for (int t = 0; t < 9; ++t) sum += kernel.k[t] * v[j + t / 3][t % 3];
    return sum;
  }
  /// The same with the kernel turned around: the gradient of Stencil.
  CAFFE_HOST_DEVICE Dtype TurnedStencil(const Kernel3x3<Dtype>& kernel, int j) const {
    Dtype sum = 0;
    for (int t = 0; t < 9; ++t) sum += kernel.k[8 - t] * v[j + t / 3][t % 3];
    return sum;
  }
  /// Adds a kernel's gradient to own[0..8]: that of pixel j times what is around it.
  CAFFE_HOST_DEVICE void AddKernelGradient(Dtype gradient, int j, Dtype* own) const {
    for (int t = 0; t < 9; ++t) own[t] += gradient * v[j + t / 3][t % 3];
  }
};

/// Where a block stands: image, channel, and its plane.
template <typename Dtype>
struct PlaneOf {
  int image, channel, area;
  size_t at, at_mean;  // of the first pixel in N x C x H x W and in N x H x W
  CAFFE_HOST_DEVICE PlaneOf(const GpuPass<Dtype>& pass, const Block& block)
      : image(pass.by_channels.Quotient(block.index())),
        channel(block.index() - image * pass.channels),
        area(pass.height * pass.width),
        at(size_t(block.index()) * area),
        at_mean(size_t(image) * area) {}
};

/// Where a block stands that goes through all channels of a part.
template <typename Dtype>
struct ImagePartOf {
  Part part;
  size_t at_image, at_mean;  // of the image's first pixel in N x C x H x W, in N x H x W
  CAFFE_HOST_DEVICE ImagePartOf(const GpuPass<Dtype>& pass, const Parts& parts, const Block& block)
      : part(parts, block.index() % parts.count) {
    const size_t image = block.index() / parts.count, area = size_t(pass.height) * pass.width;
    at_image = image * pass.channels * area;
    at_mean = image * area;
  }
};

/// How sums over the channels are divided: each strip among `slices` threads, as there are few
/// blocks that go through all channels. `scratch` holds their sums.
template <typename Dtype>
struct ChannelSlices {
  int slices, channels;
  int scratch_count;
  /// For tiles of `margin` or less, in blocks of so many threads.
  ChannelSlices(const Parts& parts, int margin, int channels_, int threads) : channels(channels_) {
    const int strips = Strips(parts.rows + 2 * margin) * (parts.columns + 2 * margin);
    const int wanted = 2 * threads / strips, most = channels / 4;
    slices = wanted < most ? wanted : most;
    if (slices < 1) slices = 1;
    scratch_count = slices * strips * kStrip;
  }
  size_t Bytes() const { return (scratch_count * sizeof(Dtype) + 15) / 16 * 16; }

  /// add(c0, c1, h, w, sums) adds the terms of channels c0 .. c1 - 1 for the strip at (h, w) to its
  /// sums[0 .. kStrip - 1]; finish(pixel, h, w, sums) gets those of all channels.
  template <class Add, class Finish>
  CAFFE_HOST_DEVICE void Sum(const Block& block, const Part& part, const Tile<Dtype>& tile,
                             Dtype* scratch, const Add& add, const Finish& finish) const {
    const int strips = tile.CountStrips(part), share = (channels + slices - 1) / slices;
    block.Run(strips * slices, [&](int i) {
      const int slice = i / strips, c0 = slice * share;
      const int c1 = c0 + share < channels ? c0 + share : channels;
      Dtype sums[kStrip];
      for (int j = 0; j < kStrip; ++j) sums[j] = 0;
      tile.AtStrip(part, i - slice * strips,
                   [&](Dtype*, int h, int w) { add(c0, c1, h, w, sums); });
      for (int j = 0; j < kStrip; ++j)
        scratch[(slice * kStrip + j) * strips + i % strips] = sums[j];
    });
    block.Run(strips, [&](int i) {
      Dtype sums[kStrip];
      for (int j = 0; j < kStrip; ++j) {
        sums[j] = 0;
        for (int s = 0; s < slices; ++s) sums[j] += scratch[(s * kStrip + j) * strips + i];
      }
      tile.AtStrip(part, i, [&](Dtype* pixel, int h, int w) { finish(pixel, h, w, sums); });
    });
  }
};

/// The part of mean_c image[c], and what is around it.
template <typename Dtype>
CAFFE_HOST_DEVICE inline void LoadMean(const Block& block, const Parts& parts, const Part& part,
                                       const Dtype* image, const ChannelSlices<Dtype>& slices,
                                       Dtype* scratch, const Tile<Dtype>& tile) {
  const int area = parts.height * parts.width;
  const Dtype share = Dtype(1) / slices.channels;
  slices.Sum(
      block, part, tile, scratch,
      [&](int c0, int c1, int h, int w, Dtype* sums) {
        if (w < 0 || w >= parts.width) return;
        bool inside[kStrip];
        for (int j = 0; j < kStrip; ++j) inside[j] = h + j >= 0 && h + j < parts.height;
        const Dtype* from = image + size_t(c0) * area + (h * parts.width + w);
        for (int c = c0; c < c1; ++c, from += area) {
          for (int j = 0; j < kStrip; ++j) sums[j] += inside[j] ? from[j * parts.width] : Dtype(0);
        }
      },
      [&](Dtype* pixel, int, int, const Dtype* sums) {
        for (int j = 0; j < kStrip; ++j) pixel[j * tile.pitch] = sums[j] * share;
      });
}

/// Starts a kernel that works on one plane per block, or per warp where that is enough.
template <class Kernel>
void ForEachPlane(int planes, const Parts& parts, const Kernel& kernel) {
  const size_t bytes = Kernel::Bytes(parts);
  if (parts.Threads() == Block::kWarp) {
    caffe::ForEachWarp(planes, bytes, kernel);
  } else {
    caffe::ForEachBlock(planes, parts.Threads(), bytes, kernel);
  }
}

/// ReLU(Op(x; a1, b1)) of the tile's channel into `hidden`, whose margin is smaller by one.
template <typename Dtype>
CAFFE_HOST_DEVICE inline void FillHidden(const GpuPass<Dtype>& pass, const PlaneOf<Dtype>& plane,
                                         const Block& block, const Parts& parts, const Part& part,
                                         const Tile<Dtype>& x, const Tile<Dtype>& hidden) {
  const Kernel3x3<Dtype> a1(pass.phi + kA1);
  hidden.ForEachStrip(block, part, [&](Dtype* pixel, int h, int w) {
    const bool in_row = w >= 0 && w < parts.width;
    const Around<Dtype> around(x, h - part.h0, w - part.w0);
    const Dtype* mean_b1 = pass.mean_b1 + plane.at_mean + (h * parts.width + w);
    for (int j = 0; j < kStrip; ++j) {
      const bool inside = in_row && h + j >= 0 && h + j < parts.height;
      const Dtype p = around.Stencil(a1, j) + (inside ? mean_b1[j * parts.width] : Dtype(0));
      pixel[j * hidden.pitch] = inside && p > 0 ? p : Dtype(0);
    }
  });
}

/// epsilon of the part's pixels; that of (r, q) is at r * parts.columns + q.
template <typename Dtype>
CAFFE_HOST_DEVICE inline void FillEpsilon(const GpuPass<Dtype>& pass, const PlaneOf<Dtype>& plane,
                                          const Block& block, const Parts& parts, const Part& part,
                                          Dtype* epsilon) {
  const int width = parts.width, columns = parts.columns;
  if (pass.epsilon || !pass.noise.sample) {
    const Dtype* given = pass.epsilon ? pass.epsilon + plane.at : nullptr;
    block.Run(part.rows * columns, [&](int i) {
      const int r = parts.by_columns.Quotient(i), q = i - r * columns;
      if (q >= part.columns) return;
      epsilon[i] = given ? given[(part.h0 + r) * width + part.w0 + q] : Dtype(0);
    });
    return;
  }
  // Four numbers to a counter, which begins at a multiple of four pixels of the plane: parts of the
  // whole width are gone through as one row.
  const bool is_one_row = columns == width;
  const int rows = is_one_row ? 1 : part.rows;
  const int length = is_one_row ? part.rows * width : part.columns;
  // Of a row, which may begin and end within one.
  const int groups = ((is_one_row ? part.h0 * width % 4 : width % 4 ? 3 : 0) + length + 3) / 4;
  block.Run(rows * groups, [&](int i) {
    const int r = is_one_row ? 0 : i / groups, g = i - r * groups;
    const int first = (part.h0 + r) * width + part.w0;  // pixel of the plane
    const int group = first / 4 + g, begin = 4 * group - first;
    if (begin >= length) return;
    const caffe::Philox bits = caffe::Philox::At(
        pass.noise.key, group, plane.image * pass.channels + plane.channel,
        static_cast<uint32_t>(pass.noise.pass), static_cast<uint32_t>(pass.noise.pass >> 32));
    float normal[4];
    caffe::PhiloxNormalPair(bits.v[0], bits.v[1], &normal[0], &normal[1]);
    caffe::PhiloxNormalPair(bits.v[2], bits.v[3], &normal[2], &normal[3]);
    Dtype* row = epsilon + r * columns;
    for (int j = 0; j < 4; ++j) {
      if (begin + j >= 0 && begin + j < length) row[begin + j] = normal[j];
    }
  });
}

/// What the noise of a part is computed from, in shared memory: x, the hidden values and epsilon.
template <typename Dtype>
struct NoiseTiles {
  Tile<Dtype> x, hidden;
  Dtype* epsilon;
  static size_t Bytes(const Parts& parts) {
    return parts.TileBytes<Dtype>(2) + parts.TileBytes<Dtype>(1) + parts.TileBytes<Dtype>(0);
  }
  CAFFE_HOST_DEVICE NoiseTiles(Block* block, const Parts& parts)
      : x(block, parts, 2), hidden(block, parts, 1) {
    epsilon = block->Shared<Dtype>(Parts::TileRows(parts.rows, 0) * parts.columns);
  }
  CAFFE_HOST_DEVICE void Fill(const GpuPass<Dtype>& pass, const PlaneOf<Dtype>& plane,
                              const Block& block, const Parts& parts, const Part& part) const {
    x.Load(block, parts, part, pass.x + plane.at);
    FillEpsilon(pass, plane, block, parts, part, epsilon);
    FillHidden(pass, plane, block, parts, part, x, hidden);
  }
};

/// softplus(u) = ln(1 + e^u). Floats on a GPU by its own functions, which the CUDA programming
/// guide bounds: to 6e-7, absolutely, and so is the derivative, which is 1 - e^-z of the result z.
template <typename Dtype>
CAFFE_HOST_DEVICE inline Dtype Softplus(Dtype u) {
#ifdef __CUDA_ARCH__
  if (sizeof(Dtype) == sizeof(float)) return fmaxf(u, 0) + __logf(1 + __expf(-fabsf(u)));
#endif
  return (u > 0 ? u : Dtype(0)) + std::log1p(std::exp(-std::fabs(u)));
}

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_METAPERTURB_GPU_PLANES_HPP_

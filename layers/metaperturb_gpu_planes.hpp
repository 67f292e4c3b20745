#ifndef METAPERTURB_LAYERS_METAPERTURB_GPU_PLANES_HPP_
#define METAPERTURB_LAYERS_METAPERTURB_GPU_PLANES_HPP_

// What MetaPerturb's GPU kernels share. A thread block works on one channel of one image, a band of
// rows at a time, or on all channels of one band: it loads the band with a margin of zeros or
// neighbouring rows into shared memory, where the 3x3 stencils read it.

#include <cmath>

#include "caffe/util/device_launch.hpp"
#include "layers/metaperturb_gpu.hpp"
#include "util/philox.hpp"

namespace metaperturb {

using caffe::Block;

inline int ThreadsFor(int pixels) {
  const int most = 256;
  const int warps = (pixels + Block::kWarp - 1) / Block::kWarp * Block::kWarp;
  return warps < most ? warps : most;
}

/// Values of a band with `margin` more rows and columns on each side.
template <typename Dtype>
struct Tile {
  Dtype* values;
  int margin, pitch, rows;
  /// For bands of up to `rows` rows.
  CAFFE_HOST_DEVICE Tile(Block* block, int margin_, int rows_, int width)
      : margin(margin_), pitch(width + 2 * margin_), rows(rows_) {
    values = block->Shared<Dtype>((rows + 2 * margin) * pitch);
  }
  CAFFE_HOST_DEVICE Dtype At(int r, int q) const {
    return values[(r + margin) * pitch + q + margin];
  }
  /// Value(h, w) for the image's pixels, zero outside; band rows from h0 on.
  template <class Value>
  CAFFE_HOST_DEVICE void Fill(const Block& block, int h0, int band, int height,
                              const Value& value) const {
    const int width = pitch - 2 * margin;
    Dtype* out = values;
    const int margin_ = margin, pitch_ = pitch;
    block.Run((band + 2 * margin) * pitch, [=](int i) {
      const int h = h0 + i / pitch_ - margin_, w = i % pitch_ - margin_;
      const bool inside = h >= 0 && h < height && w >= 0 && w < width;
      out[i] = inside ? value(h, w) : Dtype(0);
    });
  }
};

template <typename Dtype>
size_t TileBytes(int margin, int rows, int width) {
  const size_t bytes = size_t(rows + 2 * margin) * (width + 2 * margin) * sizeof(Dtype);
  return (bytes + 15) / 16 * 16;
}

/// What the kernel that needs most has: x, hidden, dmu and dp of a band.
template <typename Dtype>
size_t MostTileBytes(int rows, int width) {
  return TileBytes<Dtype>(2, rows, width) + 2 * TileBytes<Dtype>(1, rows, width) +
         TileBytes<Dtype>(0, rows, width);
}

/// Rows of a band: about `pixels` pixels, fewer where `shared` bytes do not hold them, at least
/// one.
template <typename Dtype>
int BandRows(int height, int width, size_t shared, int pixels = 1024) {
  int rows = pixels / width;
  rows = rows < 1 ? 1 : rows < height ? rows : height;
  while (rows > 1 && MostTileBytes<Dtype>(rows, width) + Block::kSumBytes > shared) --rows;
  return rows;
}

/// k * tile at row r of the band, column q.
template <typename Dtype>
CAFFE_HOST_DEVICE inline Dtype Stencil(const Dtype* k, const Tile<Dtype>& tile, int r, int q) {
  Dtype sum = 0;
  for (int t = 0; t < 9; ++t) sum += k[t] * tile.At(r + t / 3 - 1, q + t % 3 - 1);
  return sum;
}

/// The same with the kernel turned around: the gradient of Stencil.
template <typename Dtype>
CAFFE_HOST_DEVICE inline Dtype TurnedStencil(const Dtype* k, const Tile<Dtype>& tile, int r,
                                             int q) {
  Dtype sum = 0;
  for (int t = 0; t < 9; ++t) sum += k[8 - t] * tile.At(r + t / 3 - 1, q + t % 3 - 1);
  return sum;
}

/// Where a block stands: image, channel, and its plane.
template <typename Dtype>
struct PlaneOf {
  int image, channel, area;
  size_t at, at_mean;  // of the first pixel in N x C x H x W and in N x H x W
  CAFFE_HOST_DEVICE PlaneOf(const GpuPass<Dtype>& pass, const Block& block)
      : image(block.index() / pass.channels),
        channel(block.index() % pass.channels),
        area(pass.height * pass.width),
        at(size_t(block.index()) * area),
        at_mean(size_t(image) * area) {}
};

/// The bands of the kernels that go through all channels: half as many pixels as the others', as
/// there are fewer blocks.
template <typename Dtype>
struct Bands {
  int rows, in_image;  // rows of a band, bands of an image
  explicit Bands(const GpuPass<Dtype>& pass)
      : rows(BandRows<Dtype>(pass.height, pass.width, caffe::Device::Get().SharedMemory(), 512)),
        in_image((pass.height + rows - 1) / rows) {}
};

/// Where such a block stands.
template <typename Dtype>
struct BandOf {
  int h0, count;             // first row, rows
  size_t at_image, at_mean;  // of the image's first pixel in N x C x H x W, in N x H x W
  CAFFE_HOST_DEVICE BandOf(const GpuPass<Dtype>& pass, const Bands<Dtype>& bands,
                           const Block& block)
      : h0(block.index() % bands.in_image * bands.rows),
        count(pass.height - h0 < bands.rows ? pass.height - h0 : bands.rows) {
    const size_t image = block.index() / bands.in_image, area = size_t(pass.height) * pass.width;
    at_image = image * pass.channels * area;
    at_mean = image * area;
  }
};

/// mean_c x[c] of an image's pixel; `pixel` is the one of channel 0.
template <typename Dtype>
CAFFE_HOST_DEVICE inline Dtype MeanOverChannels(const Dtype* pixel, int channels, int area) {
  Dtype sum = 0;
  for (int c = 0; c < channels; ++c) sum += pixel[size_t(c) * area];
  return sum / channels;
}

/// ReLU(Op(x; a1, b1)) of the tile's channel into `hidden`; x needs one more pixel of margin.
template <typename Dtype>
CAFFE_HOST_DEVICE inline void FillHidden(const GpuPass<Dtype>& pass, const PlaneOf<Dtype>& plane,
                                         const Block& block, int h0, int band, const Tile<Dtype>& x,
                                         const Tile<Dtype>& hidden) {
  hidden.Fill(block, h0, band, pass.height, [&](int h, int w) {
    const Dtype p =
        Stencil(pass.phi + kA1, x, h - h0, w) + pass.mean_b1[plane.at_mean + h * pass.width + w];
    return p > 0 ? p : Dtype(0);
  });
}

/// epsilon of the band's pixels: `count` from pixel `first` of the plane on.
template <typename Dtype>
CAFFE_HOST_DEVICE inline void FillEpsilon(const GpuPass<Dtype>& pass, const PlaneOf<Dtype>& plane,
                                          const Block& block, int first, int count,
                                          Dtype* epsilon) {
  if (pass.epsilon || !pass.noise.sample) {
    block.Run(count, [&](int i) {
      epsilon[i] = pass.epsilon ? pass.epsilon[plane.at + first + i] : Dtype(0);
    });
    return;
  }
  // Four numbers to a counter, which begins at a multiple of four pixels of the plane.
  const int group = first / 4, groups = (first + count + 3) / 4 - group;
  block.Run(groups, [&](int i) {
    const caffe::Philox bits = caffe::Philox::At(
        pass.noise.key, group + i, plane.image * pass.channels + plane.channel,
        static_cast<uint32_t>(pass.noise.pass), static_cast<uint32_t>(pass.noise.pass >> 32));
    float normal[4];
    caffe::PhiloxNormalPair(bits.v[0], bits.v[1], &normal[0], &normal[1]);
    caffe::PhiloxNormalPair(bits.v[2], bits.v[3], &normal[2], &normal[3]);
    for (int j = 0; j < 4; ++j) {
      const int at = 4 * (group + i) + j - first;
      if (at >= 0 && at < count) epsilon[at] = normal[j];
    }
  });
}

template <typename Dtype>
CAFFE_HOST_DEVICE inline Dtype Softplus(Dtype u) {
  return (u > 0 ? u : Dtype(0)) + std::log1p(std::exp(-std::fabs(u)));
}

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_METAPERTURB_GPU_PLANES_HPP_

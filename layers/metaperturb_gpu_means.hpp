#ifndef METAPERTURB_LAYERS_METAPERTURB_GPU_MEANS_HPP_
#define METAPERTURB_LAYERS_METAPERTURB_GPU_MEANS_HPP_

// Means over the channels in MetaPerturb's GPU kernels. A block has one band of an image; its warps
// divide the channels among themselves.

#include "layers/metaperturb_gpu_bands.hpp"

namespace metaperturb {

/// Threads of such a block.
const int kMeanThreads = 256;

/// kRows rows of a band's columns in shared memory, with a zero on either side of each.
template <typename Dtype, int kRows>
struct Tile {
  Dtype* values;
  int pitch;
  CAFFE_HOST_DEVICE Tile(Block* block, const Bands& bands) : pitch(bands.pitch + 2) {
    values = block->Shared<Dtype>(kRows * pitch);
    Dtype* const sides = values;
    const int step = pitch;
    block->Begin(2 * kRows,
                 [=](int i) { sides[i / 2 * step + (i % 2 == 0 ? 0 : step - 1)] = Dtype(0); });
  }
  static size_t Bytes(const Bands& bands) {
    return (kRows * (bands.pitch + 2) * sizeof(Dtype) + 15) / 16 * 16;
  }
  CAFFE_HOST_DEVICE Dtype& At(int r, int q) const { return values[r * pitch + q + 1]; }
};

/// The blocks of a kernel that forms means over channels: one for each band of each image.
struct ChannelBands {
  int num, channels;
  Bands bands;  // of one image's channels
  ChannelBands(int num_, int channels_, int height, int width)
      : num(num_), channels(channels_), bands(channels_, height, width) {}
  int blocks() const { return num * bands.per_plane; }

  CAFFE_HOST_DEVICE int Image(const Block& block) const {
    return bands.by_per_plane.Quotient(block.index());
  }
  /// The block's band in the image's first channels.
  CAFFE_HOST_DEVICE Band First(const Block& block) const {
    const int image = Image(block);
    return Band(bands, image * channels, (image + 1) * channels,
                block.index() - image * bands.per_plane);
  }

  /// Values of Block::Shared that MeanOfRows of so many rows needs.
  static constexpr CAFFE_HOST_DEVICE int ScratchCount(int rows) {
    return rows * (kMeanThreads + Block::kWarp);
  }

  /// For each channel's band add(band, sums) adds to sums[0 .. kRows - 1], by lanes; take(r, q,
  /// mean) gets the mean over the channels of row r in column q, 0 .. bands.pitch - 1.
  template <int kRows, typename Dtype, class Add, class Take>
  CAFFE_HOST_DEVICE void MeanOfRows(const Block& block, Dtype* scratch, const Add& add,
                                    const Take& take) const {
    const int image = Image(block), index = block.index() - image * bands.per_plane;
    const int warps = block.threads() / Block::kWarp;
    const int row = block.threads() + bands.pitch;  // rows begin in different banks
    block.ForEachWarp(0, [&](const Block& warp) {
      Lanes<Dtype> sums[kRows];
      SetZero<kRows>(sums);
      const int nth = warp.index() - block.index() * warps;
      for (int c = nth * bands.together; c < channels; c += warps * bands.together) {
        add(Band(bands, image * channels + c, (image + 1) * channels, index), sums);
      }
      Unrolled<kRows>([&](int i) {
        ForEachLane(
            [&](int lane) { scratch[i * row + nth * Block::kWarp + lane] = sums[i][lane]; });
      });
    });
    block.Wait();
    const Dtype share = Dtype(1) / channels;
    block.Run(kRows * bands.pitch, [&](int i) {
      const int r = bands.by_pitch.Quotient(i), q = i - r * bands.pitch;
      Dtype sum = 0;
      for (int w = 0; w < warps; ++w) {
        const Dtype* of_warp = scratch + r * row + w * Block::kWarp + q;
        for (int slot = 0; slot < bands.together; ++slot) sum += of_warp[slot * bands.pitch];
      }
      take(r, q, sum * share);
    });
  }

  /// step(r, q, pixel) for each pixel of the block's band, `pixel` being its index in H x W.
  template <class Step>
  CAFFE_HOST_DEVICE void ForEachPixel(const Block& block, const Band& band,
                                      const Step& step) const {
    block.Run(kBand * bands.pitch, [&](int i) { AtPixel(band, i, step); });
  }
  /// The same with N sums: step(r, q, pixel, own) adds to own, take(k, sum) gets them.
  template <int N, typename Dtype, class Step, class Take>
  CAFFE_HOST_DEVICE void SumPixels(const Block& block, const Band& band, Dtype* scratch,
                                   const Step& step, const Take& take) const {
    block.Sums<N>(
        kBand * bands.pitch, scratch,
        [&](int i, Dtype* own) {
          AtPixel(band, i, [&](int r, int q, int pixel) { step(r, q, pixel, own); });
        },
        take);
  }

 private:
  template <class Step>
  CAFFE_HOST_DEVICE void AtPixel(const Band& band, int i, const Step& step) const {
    const int r = bands.by_pitch.Quotient(i), q = i - r * bands.pitch;
    const int column = bands.wide ? q - kBeside : q, w = band.w0 + column;
    if (r < band.rows && column >= 0 && column < bands.columns && w < bands.width) {
      step(r, q, (band.h0 + r) * bands.width + w);
    }
  }
};

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_METAPERTURB_GPU_MEANS_HPP_

#ifndef METAPERTURB_LAYERS_METAPERTURB_GPU_IMAGE_HPP_
#define METAPERTURB_LAYERS_METAPERTURB_GPU_IMAGE_HPP_

// MetaPerturb's GPU kernels in which a block has a whole image, all channels of it in shared
// memory: means over the channels need nothing of other blocks, so that what lies between two of
// them never leaves the multiprocessor. For images that fit, with at most as many columns as a warp
// has lanes.

#include <algorithm>

#include "caffe/util/device.hpp"
#include "layers/metaperturb_gpu.hpp"
#include "layers/metaperturb_gpu_bands.hpp"

namespace metaperturb {

/// How a block goes through the channels of its image. A warp goes down strips one after another: a
/// strip is rows of a plane, or of several narrow ones beside each other, a column per lane.
struct ImageWalk {
  int channels, height, width, area;
  Bands strips;   // of an image's planes
  int plane;      // values from one plane to the next in shared memory: begins in other banks
  int shares;     // the channels' parts that a mean over them is added up from
  bool in_fours;  // strips have a multiple of 4 rows
  Divisor by_area, by_width;

  /// Of a block with so many threads. Strips have at most 32 rows.
  ImageWalk(int channels_, int height_, int width_, int threads)
      : channels(channels_),
        height(height_),
        width(width_),
        area(height_ * width_),
        strips(channels_, height_, width_, RowsOf(channels_, height_, width_, threads)),
        plane(strips.together == 1 ? area : (height_ | 1) * width_),
        shares(1),
        in_fours(height_ % 4 == 0),
        by_area(area),
        by_width(width_) {
    while (shares < 16 && 2 * shares * area <= threads && 2 * shares <= channels) shares *= 2;
  }
  /// The same, of planes that a kernel knows; see Bands::Known.
  template <int kSide>
  CAFFE_HOST_DEVICE ImageWalk Known() const {
    ImageWalk known = *this;
    known.strips = strips.Known<kSide>();
    if (kSide > 0) {
      constexpr Divisor by_side(kSide), by_square(kSide * kSide);
      known.height = known.width = kSide;
      known.area = kSide * kSide;
      known.in_fours = true;
      known.plane = kSide == Block::kWarp ? kSide * kSide : (kSide | 1) * kSide;
      known.by_width = by_side;
      known.by_area = by_square;
    }
    return known;
  }
  static bool Fits(int width, size_t bytes) {
    return width <= Block::kWarp && bytes + Block::kSumBytes <= caffe::Device::Get().SharedMemory();
  }
  CAFFE_HOST_DEVICE bool has_halos() const { return strips.per_plane > 1; }
  CAFFE_HOST_DEVICE int halo_count() const {
    return has_halos() ? strips.warps * 2 * Block::kWarp : 0;
  }

  /// step(strip, index) for each strip of the warp, one after another. Lanes without a plane stand
  /// in the strip's first one: what they read is there, and no other lane asks for it.
  template <class Step>
  CAFFE_HOST_DEVICE void ForEachStrip(const Block& block, const Step& step) const {
    const int warps = block.threads() / Block::kWarp;
    block.ForEachWarp(0, [&](const Block& warp) {
      for (int i = warp.index() - block.index() * warps; i < strips.warps; i += warps) {
        Band strip = BandOf(strips, i);
        ForEachLane([&](int lane) {
          if (strip.inside[lane]) return;
          strip.plane[lane] = strip.first;
          strip.at[lane] = strip.first * area + strip.h0 * width + strip.w[lane];
        });
        step(strip, i);
      }
    });
  }
  /// Where the strip's first pixel in each lane's column is in shared memory.
  CAFFE_HOST_DEVICE Lanes<int> InTile(const Band& strip) const {
    Lanes<int> at;
    ForEachLane(
        [&](int lane) { at[lane] = strip.plane[lane] * plane + strip.h0 * width + strip.w[lane]; });
    return at;
  }

 private:
  // A plane's rows are divided where there are more warps than planes for them.
  static int RowsOf(int channels, int height, int width, int threads) {
    const int together = std::max(1, Block::kWarp / width), warps = threads / Block::kWarp;
    const int groups = (channels + together - 1) / together;
    const int parts = std::max(1, std::min(warps / groups, height / 4));
    const int rows = (height + parts - 1) / parts, most = 32;
    return std::min(most, (rows + 3) / 4 * 4);
  }
};

/// H x W values in shared memory with zeros around them.
template <typename Dtype>
struct PaddedPlane {
  Dtype* values;
  int pitch;
  CAFFE_HOST_DEVICE PaddedPlane(Block* block, const ImageWalk& of) : pitch(of.width + 2) {
    Dtype* const all = values = block->Shared<Dtype>(Count(of));
    block->Begin(Count(of), [=](int i) { all[i] = Dtype(0); });
  }
  static CAFFE_HOST_DEVICE int Count(const ImageWalk& of) {
    return (of.height + 2) * (of.width + 2);
  }
  CAFFE_HOST_DEVICE Dtype& At(int h, int w) const { return values[(h + 1) * pitch + w + 1]; }
};

/// The shared memory of such a block: a value for each element of the image, one plane for a mean
/// over the channels and one for what is made of it, and what the threads tell each other.
template <typename Dtype>
struct ImageMemory {
  Dtype* tile;  // channels x ImageWalk::plane
  PaddedPlane<Dtype> mean;
  Dtype* through;  // H x W
  Dtype* shares;
  Dtype* halos;  // of each strip the rows above and below it, in the lanes' columns
  CAFFE_HOST_DEVICE ImageMemory(Block* block, const ImageWalk& of)
      : tile(block->Shared<Dtype>(of.channels * of.plane)),
        mean(block, of),
        through(block->Shared<Dtype>(of.area)),
        shares(block->Shared<Dtype>(of.shares * of.area)),
        halos(block->Shared<Dtype>(of.halo_count())) {}
  static size_t Bytes(const ImageWalk& of) {
    return sizeof(Dtype) * (size_t(of.channels) * of.plane + PaddedPlane<Dtype>::Count(of) +
                            (1 + of.shares) * of.area + of.halo_count()) +
           5 * 16;
  }

  /// mean = the tile's mean over the channels.
  CAFFE_HOST_DEVICE void FormMean(const Block& block, const ImageWalk& of) const {
    const Dtype share = Dtype(1) / of.channels;
    block.Run(of.shares * of.area, [&](int i) {
      const int first = of.by_area.Quotient(i), pixel = i - first * of.area;
      Dtype sum = 0;
      for (int c = first; c < of.channels; c += of.shares) sum += tile[c * of.plane + pixel];
      shares[i] = sum;
    });
    block.Run(of.area, [&](int pixel) {
      Dtype sum = 0;
      for (int i = 0; i < of.shares; ++i) sum += shares[i * of.area + pixel];
      const int h = of.by_width.Quotient(pixel);
      mean.At(h, pixel - h * of.width) = sum * share;
    });
  }

  /// Before what is done in place: the rows beside each strip.
  CAFFE_HOST_DEVICE void SaveHalos(const Block& block, const ImageWalk& of) const {
    if (!of.has_halos()) return;
    of.ForEachStrip(block, [&](const Band& strip, int index) {
      const Lanes<int> at = of.InTile(strip);
      ForEachLane([&](int lane) {
        Dtype* to = halos + index * 2 * Block::kWarp + lane;
        if (strip.h0 > 0) to[0] = tile[at[lane] - of.width];
        if (strip.h0 + strip.rows < of.height) {
          to[Block::kWarp] = tile[at[lane] + strip.rows * of.width];
        }
      });
    });
  }

  /// Goes down a strip, four rows at a time: prepare(r) before rows r .. r + 3, then step(r, j,
  /// lane) for row r + j with the window around it. A step may write to its own element of the
  /// tile: the window has read it. `in_place`: SaveHalos was called before.
  template <class Prepare, class Step>
  CAFFE_HOST_DEVICE void GoDownStrip(const ImageWalk& of, const Band& strip, int index,
                                     bool in_place, Window<Dtype>* window, const Prepare& prepare,
                                     const Step& step) const {
    const Lanes<int> at = of.InTile(strip);
    const int rows = strip.rows;
    Lanes<Dtype> above, first, below;
    ForEachLane([&](int lane) {
      const Dtype* halo = halos + index * 2 * Block::kWarp + lane;
      const Dtype* column = tile + at[lane];
      const bool has_above = strip.h0 > 0, has_below = strip.h0 + rows < of.height;
      above[lane] = !has_above ? Dtype(0) : in_place ? halo[0] : column[-of.width];
      below[lane] = !has_below ? Dtype(0) : in_place ? halo[Block::kWarp] : column[rows * of.width];
      first[lane] = column[0];
    });
    Unrolled<3>([&](int i) { SetZero<3>(window->v[i]); });
    window->Push(strip, above);
    window->Push(strip, first);
    for (int r = 0; r < rows; r += 4) {
      Lanes<Dtype> next[4];
      ForEachLane([&](int lane) {
        const Dtype* column = tile + at[lane] + (r + 1) * of.width;
        CAFFE_UNROLL
        for (int j = 0; j < 4; ++j) {
          const bool is_own = (of.in_fours && j < 3) || r + j + 1 < rows;
          next[j][lane] = is_own ? column[j * of.width] : below[lane];
        }
      });
      prepare(r);
      Unrolled<4>([&](int j) {
        if (!of.in_fours && r + j >= rows) return;
        window->Push(strip, next[j]);
        ForEachLane([&](int lane) { step(r, j, lane); });
      });
    }
  }

  /// Rows first .. first + 3 of an array C x H x W, as far as the strip has them.
  CAFFE_HOST_DEVICE static void LoadFour(const ImageWalk& of, const Band& strip, int first,
                                         const Dtype* from, Lanes<Dtype>* rows) {
    ForEachLane([&](int lane) {
      const Dtype* column = from + (strip.at[lane] + first * of.width);
      CAFFE_UNROLL
      for (int j = 0; j < 4; ++j) {
        const bool is_own = of.in_fours || first + j < strip.rows;
        rows[j][lane] = is_own ? column[j * of.width] : Dtype(0);
      }
    });
  }
};

/// The forward pass up to s: mean, mean_b1, hidden, hidden_b2, in TRAIN f and gates. False: the
/// images do not fit.
template <typename Dtype>
bool GpuImageForward(const GpuPass<Dtype>& pass);

/// dx of a phi that does not learn; dx may be dy. False: the images do not fit.
template <typename Dtype>
bool GpuImageBackward(const GpuPass<Dtype>& pass, const Dtype* dy, Dtype* dx);

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_METAPERTURB_GPU_IMAGE_HPP_

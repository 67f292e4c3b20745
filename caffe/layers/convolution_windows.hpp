#ifndef CAFFE_LAYERS_CONVOLUTION_WINDOWS_HPP_
#define CAFFE_LAYERS_CONVOLUTION_WINDOWS_HPP_

// The images of tensor_core_convolution.cu in shared memory.

#include <algorithm>
#include <cstdint>

#include "caffe/util/device_matrix.hpp"
#include "caffe/util/device_vectors.hpp"
#include "caffe/util/divisor.hpp"

namespace caffe {

/// The least number from `count` on that leaves `rest` when it is divided by 32: with planes so far
/// apart, the threads of a warp read different banks of the shared memory.
inline int PlaneSize(int count, int rest) {
  return (count - rest + 31) / 32 * 32 + rest;
}

/// Windows of 3x3 pixels over images, and the part of an image that a block keeps in shared memory:
/// whole rows, in each of which four values precede the pixels, the fourth a zero beside the image.
/// `spread` - 1 zeros are between the pixels, and one around the image; the windows are `step`
/// apart. What is called a pixel of a part is a window, in the order of rows.
struct Windows {
  int channels, height, width;  // of the image
  int out_h, out_w, step, spread;
  int images, pixels;        // of a part: so many images, so many pixels of each
  int rows, columns, pitch;  // of an image in shared memory
  bool by_fours;             // of a row, four pixels are read at once
  Divisor by_channel, by_row, by_image, by_line, by_out_w, by_parts;

  Windows(int c, int h, int w, int oh, int ow, int s, int zeros, int n, int p)
      : channels(c),
        height(h),
        width(w),
        out_h(oh),
        out_w(ow),
        step(s),
        spread(zeros),
        images(n),
        pixels(std::min(p, oh * ow)),
        // Unless parts are whole rows they begin anywhere in one.
        rows(std::min(oh - 1, pixels % ow == 0 ? pixels / ow - 1 : (pixels + ow - 2) / ow) * s + 3),
        // The zero to the right of the image is that before the next row.
        columns(zeros == 1 && w % 4 == 0 ? w : ((ow - 1) * s + 5) / 4 * 4),
        pitch(columns + 4),
        by_fours(false),
        by_channel(1),
        by_row(1),
        by_image(rows),
        by_line(n * rows + 1),
        by_out_w(ow),
        by_parts(Parts()) {}
  void ReadFrom(const float* x) {
    by_fours = columns == width && reinterpret_cast<uintptr_t>(x) % 16 == 0;
    const int in_row = columns / (by_fours ? 4 : 1);
    by_row = Divisor(in_row);
    by_channel = Divisor(images * rows * in_row);
  }
  CAFFE_HOST_DEVICE int Area() const { return out_h * out_w; }
  CAFFE_HOST_DEVICE int Parts() const { return (Area() - 1) / pixels + 1; }
  /// Values of a channel in shared memory.
  CAFFE_HOST_DEVICE int Size() const { return images * rows * pitch + 4; }

  /// Where in a channel of the part that begins with pixel `first` the window of pixel p of its
  /// `image` is; that of the first beyond the last.
  CAFFE_HOST_DEVICE int Offset(int first, int image, int p) const {
    const int pixel = first + p;
    if (image >= images || p >= pixels || pixel >= Area()) return 3;
    const int row = by_out_w.Quotient(pixel), line = row - by_out_w.Quotient(first);
    return (image * rows + line * step) * pitch + (pixel - row * out_w) * step + 3;
  }

  /// Zeros beside the images of `depth` channels, each `plane` values behind the one before.
  CAFFE_HOST_DEVICE void ClearMargins(const Block& block, int depth, int plane,
                                      float* values) const {
    const int lines = images * rows + 1;
    block.Begin(depth * lines, [&](int i) {
      const int c = by_line.Quotient(i);
      float* line = values + c * plane + (i - c * lines) * pitch;
      line[0] = line[3] = 0;
    });
  }
  /// Loads channels c0 .. c0 + depth - 1 of the part; x is its first image, of which `left` are
  /// there.
  CAFFE_HOST_DEVICE void Load(const Block& block, const float* x, int left, int first, int c0,
                              int depth, int plane, float* values) const {
    if (by_fours) {
      LoadRows<4>(block, x, left, first, c0, depth, plane, values);
    } else {
      LoadRows<1>(block, x, left, first, c0, depth, plane, values);
    }
  }

 private:
  template <int kWidth>
  CAFFE_HOST_DEVICE void LoadRows(const Block& block, const float* x, int left, int first, int c0,
                                  int depth, int plane, float* values) const {
    const int first_row = by_out_w.Quotient(first) * step - 1, in_row = columns / kWidth;
    const int in_channel = images * rows * in_row;
    block.Copy<4>(
        depth * in_channel,
        [&](int i) {
          const int channel = by_channel.Quotient(i), at = i - channel * in_channel;
          const int line = by_row.Quotient(at), image = by_image.Quotient(line);
          const int c = c0 + channel;
          int h = first_row + line - image * rows, w = (at - line * in_row) * kWidth;
          bool there = h >= 0 && image < left && c < channels;
          if (kWidth == 1 && spread > 1) {
            there = there && h % spread == 0 && w % spread == 0;
            h /= spread;
            w /= spread;
          }
          there = there && h < height && w < width;
          if (!there) return Neighbours<float, kWidth>{};
          return LoadNeighbours<kWidth>(x + (size_t(image * channels + c) * height + h) * width +
                                        w);
        },
        [&](int i, Neighbours<float, kWidth> loaded) {
          const int channel = by_channel.Quotient(i), at = i - channel * in_channel;
          const int line = by_row.Quotient(at), w = (at - line * in_row) * kWidth;
          for (int j = 0; j < kWidth; ++j) loaded.at[j] = RoundToTensorFloat(loaded.at[j]);
          StoreNeighbours(loaded, values + channel * plane + line * pitch + 4 + w);
        });
  }
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_CONVOLUTION_WINDOWS_HPP_

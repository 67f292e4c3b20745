#ifndef CAFFE_UTIL_POOLING_LOOPS_HPP_
#define CAFFE_UTIL_POOLING_LOOPS_HPP_

#include "util/philox.hpp"

namespace caffe {

/// Pooling's windows along one axis of an image.
struct PoolingAxis {
  int kernel = 0, stride = 1, pad = 0, pixels = 0, windows = 0;

  /// The pixels [begin, end) of a window, and its extent with its padding.
  struct Window {
    int begin, end, extent;
  };
  CAFFE_HOST_DEVICE Window At(int window) const {
    const int begin = window * stride - pad;
    const int end = begin + kernel < pixels + pad ? begin + kernel : pixels + pad;
    return {begin > 0 ? begin : 0, end < pixels ? end : pixels, end - begin};
  }

  /// The windows [first, last) that contain a pixel.
  CAFFE_HOST_DEVICE int First(int pixel) const {
    return pixel + pad < kernel ? 0 : (pixel + pad - kernel) / stride + 1;
  }
  CAFFE_HOST_DEVICE int Last(int pixel) const {
    const int last = (pixel + pad) / stride + 1;
    return last < windows ? last : windows;
  }

  /// No pixel is in two windows.
  bool Apart() const { return stride >= kernel; }
  /// Each pixel is in one window.
  bool Tiles() const { return stride == kernel && windows * stride >= pixels + pad; }
};

// The passes of PoolingLayer on a CPU. x and dx have `planes` planes of rows.pixels x
// columns.pixels, y, dy and argmax planes of rows.windows x columns.windows; a plane is that of a
// block of 1, 8 or 16 channels (channel_blocks.hpp). Threads share the planes.

/// y = max over the window; argmax: the number of the first maximum among the window's pixels
/// within the image, counted row by row.
template <typename Dtype>
void MaxPoolingForward(const PoolingAxis& rows, const PoolingAxis& columns, int planes, int block,
                       const Dtype* x, Dtype* y, int* argmax);
/// dx = sum of dy over the windows whose argmax the pixel is.
template <typename Dtype>
void MaxPoolingBackward(const PoolingAxis& rows, const PoolingAxis& columns, int planes, int block,
                        const Dtype* dy, const int* argmax, Dtype* dx);
/// y = sum over the window / (its extents with padding).
template <typename Dtype>
void AveragePoolingForward(const PoolingAxis& rows, const PoolingAxis& columns, int planes,
                           int block, const Dtype* x, Dtype* y);
/// dx = sum of dy / (the window's extents with padding) over the windows that contain the pixel.
template <typename Dtype>
void AveragePoolingBackward(const PoolingAxis& rows, const PoolingAxis& columns, int planes,
                            int block, const Dtype* dy, Dtype* dx);

}  // namespace caffe

#endif  // CAFFE_UTIL_POOLING_LOOPS_HPP_

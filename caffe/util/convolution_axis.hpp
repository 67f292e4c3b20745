#ifndef CAFFE_UTIL_CONVOLUTION_AXIS_HPP_
#define CAFFE_UTIL_CONVOLUTION_AXIS_HPP_

#include "util/philox.hpp"

namespace caffe {

/// One axis of a convolution's geometry; for kernels (util/device_launch.hpp).
struct ConvolutionAxis {
  int in, out, kernel, pad, stride, dilation;
  ConvolutionAxis(int extent, int kernel_extent, int padding, int step, int dilate)
      : in(extent),
        out((extent + 2 * padding - (dilate * (kernel_extent - 1) + 1)) / step + 1),
        kernel(kernel_extent),
        pad(padding),
        stride(step),
        dilation(dilate) {}

  /// The pixel that output `at` sees under kernel element u; negative where there is none.
  CAFFE_HOST_DEVICE int Pixel(int at, int u) const {
    const int pixel = at * stride - pad + u * dilation;
    return pixel < in ? pixel : -1;
  }
  /// The output that sees `pixel` under kernel element u; negative where there is none.
  CAFFE_HOST_DEVICE int Output(int pixel, int u) const {
    const int from = pixel + pad - u * dilation;
    const int at = from / stride;
    return from >= 0 && at * stride == from && at < out ? at : -1;
  }
};

}  // namespace caffe

#endif  // CAFFE_UTIL_CONVOLUTION_AXIS_HPP_

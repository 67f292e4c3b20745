#include "caffe/util/im2col.hpp"

#include <algorithm>

namespace caffe {

namespace {

// Calls visit(column index, image index or -1) for every element of the column matrix, in its
// order.
template <class Visit>
void Walk(int channels, int height, int width, int kernel_h, int kernel_w, int pad_h, int pad_w,
          int stride_h, int stride_w, int dilation_h, int dilation_w, const Visit& visit) {
  const int out_h = (height + 2 * pad_h - (dilation_h * (kernel_h - 1) + 1)) / stride_h + 1;
  const int out_w = (width + 2 * pad_w - (dilation_w * (kernel_w - 1) + 1)) / stride_w + 1;
  long at = 0;
  for (int c = 0; c < channels; ++c) {
    for (int u = 0; u < kernel_h; ++u) {
      for (int v = 0; v < kernel_w; ++v) {
        for (int i = 0; i < out_h; ++i) {
          const int y = i * stride_h - pad_h + u * dilation_h;
          for (int j = 0; j < out_w; ++j) {
            const int x = j * stride_w - pad_w + v * dilation_w;
            const bool inside = y >= 0 && y < height && x >= 0 && x < width;
            visit(at++, inside ? (long(c) * height + y) * width + x : -1);
          }
        }
      }
    }
  }
}

}  // namespace

template <typename Dtype>
void im2col_cpu(const Dtype* data_im, const int channels, const int height, const int width,
                const int kernel_h, const int kernel_w, const int pad_h, const int pad_w,
                const int stride_h, const int stride_w, const int dilation_h, const int dilation_w,
                Dtype* data_col) {
  Walk(channels, height, width, kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w, dilation_h,
       dilation_w, [&](long at, long pixel) { data_col[at] = pixel < 0 ? 0 : data_im[pixel]; });
}

template <typename Dtype>
void col2im_cpu(const Dtype* data_col, const int channels, const int height, const int width,
                const int kernel_h, const int kernel_w, const int pad_h, const int pad_w,
                const int stride_h, const int stride_w, const int dilation_h, const int dilation_w,
                Dtype* data_im) {
  std::fill(data_im, data_im + long(channels) * height * width, Dtype(0));
  Walk(channels, height, width, kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w, dilation_h,
       dilation_w, [&](long at, long pixel) {
         if (pixel >= 0) data_im[pixel] += data_col[at];
       });
}

#define INSTANTIATE_IM2COL(Dtype)                                                               \
  template void im2col_cpu(const Dtype*, const int, const int, const int, const int, const int, \
                           const int, const int, const int, const int, const int, const int,    \
                           Dtype*);                                                             \
  template void col2im_cpu(const Dtype*, const int, const int, const int, const int, const int, \
                           const int, const int, const int, const int, const int, const int,    \
                           Dtype*)

INSTANTIATE_IM2COL(float);
INSTANTIATE_IM2COL(double);

}  // namespace caffe

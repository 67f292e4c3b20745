#include "caffe/util/im2col.hpp"

#include "caffe/util/convolution_axis.hpp"
#include "caffe/util/device_launch.hpp"

namespace caffe {

namespace {

// One element of the columns.
template <typename Dtype>
struct Unfold {
  ConvolutionAxis rows, columns;
  const Dtype* image;
  Dtype* unfolded;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int at = i / columns.out;
    const int element = at / rows.out;
    const int channel = element / columns.kernel / rows.kernel;
    const int y = rows.Pixel(at % rows.out, element / columns.kernel % rows.kernel);
    const int x = columns.Pixel(i % columns.out, element % columns.kernel);
    const bool inside = y >= 0 && x >= 0;
    unfolded[i] = inside ? image[(int64_t{channel} * rows.in + y) * columns.in + x] : Dtype(0);
  }
};

// One pixel, which collects its elements of the columns.
template <typename Dtype>
struct Fold {
  ConvolutionAxis rows, columns;
  const Dtype* unfolded;
  Dtype* image;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int channel = i / columns.in / rows.in;
    const int y = i / columns.in % rows.in, x = i % columns.in;
    Dtype sum = 0;
    for (int u = 0; u < rows.kernel; ++u) {
      const int row = rows.Output(y, u);
      if (row < 0) continue;
      for (int v = 0; v < columns.kernel; ++v) {
        const int column = columns.Output(x, v);
        if (column < 0) continue;
        const int64_t element = (int64_t{channel} * rows.kernel + u) * columns.kernel + v;
        sum += unfolded[(element * rows.out + row) * columns.out + column];
      }
    }
    image[i] = sum;
  }
};

}  // namespace

template <typename Dtype>
void im2col_gpu(const Dtype* data_im, const int channels, const int height, const int width,
                const int kernel_h, const int kernel_w, const int pad_h, const int pad_w,
                const int stride_h, const int stride_w, const int dilation_h, const int dilation_w,
                Dtype* data_col) {
  const ConvolutionAxis rows(height, kernel_h, pad_h, stride_h, dilation_h);
  const ConvolutionAxis columns(width, kernel_w, pad_w, stride_w, dilation_w);
  ForEachIndex(channels * kernel_h * kernel_w * rows.out * columns.out,
               Unfold<Dtype>{rows, columns, data_im, data_col});
}

template <typename Dtype>
void col2im_gpu(const Dtype* data_col, const int channels, const int height, const int width,
                const int kernel_h, const int kernel_w, const int pad_h, const int pad_w,
                const int stride_h, const int stride_w, const int dilation_h, const int dilation_w,
                Dtype* data_im) {
  const ConvolutionAxis rows(height, kernel_h, pad_h, stride_h, dilation_h);
  const ConvolutionAxis columns(width, kernel_w, pad_w, stride_w, dilation_w);
  ForEachIndex(channels * height * width, Fold<Dtype>{rows, columns, data_col, data_im});
}

#define INSTANTIATE_IM2COL(Dtype)                                                               \
  template void im2col_gpu(const Dtype*, const int, const int, const int, const int, const int, \
                           const int, const int, const int, const int, const int, const int,    \
                           Dtype*);                                                             \
  template void col2im_gpu(const Dtype*, const int, const int, const int, const int, const int, \
                           const int, const int, const int, const int, const int, const int,    \
                           Dtype*)

INSTANTIATE_IM2COL(float);
INSTANTIATE_IM2COL(double);

}  // namespace caffe

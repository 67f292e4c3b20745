#include "caffe/layers/float_convolution.hpp"

#include <tuple>

#include "caffe/layers/dnnl_convolution.hpp"
#include "caffe/layers/winograd_convolution.hpp"

namespace caffe {

static auto Tied(const ConvGeometry& g) {
  return std::tie(g.num, g.in_channels, g.in_h, g.in_w, g.out_channels, g.out_h, g.out_w,
                  g.kernel_h, g.kernel_w, g.stride_h, g.stride_w, g.pad_h, g.pad_w, g.dilation_h,
                  g.dilation_w, g.group, g.bias);
}

bool ConvGeometry::operator==(const ConvGeometry& o) const {
  return Tied(*this) == Tied(o);
}

std::unique_ptr<FloatConvolution> FloatConvolution::Create(const ConvGeometry& geometry,
                                                           bool direct) {
  std::unique_ptr<FloatConvolution> result;
  if (!direct && WinogradConvolution::Suits(geometry)) {
    result.reset(new WinogradConvolution(geometry));
  } else {
    result.reset(new DnnlConvolution(geometry));
  }
  return result;
}

}  // namespace caffe

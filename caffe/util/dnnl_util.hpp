#ifndef CAFFE_UTIL_DNNL_UTIL_HPP_
#define CAFFE_UTIL_DNNL_UTIL_HPP_

#include <dnnl.hpp>

namespace caffe {

/// The process's oneDNN CPU engine.
const dnnl::engine& DnnlEngine();
/// The calling thread's stream on it.
dnnl::stream& DnnlStream();
/// 4-D activations: plain (block 1), nChw8c or nChw16c.
dnnl::memory::format_tag ActivationTag(int block);

/// The extents of an array.
dnnl::memory::dims DnnlDims(const dnnl::memory::desc& array);

/// A convolution as oneDNN describes it.
struct DnnlConvolutionDesc {
  dnnl::memory::desc src, weights, bias, dst;  // without a bias an empty one
  dnnl::memory::dims strides, dilations, pad;  // per axis; dilation 0 is none; pad: on either side
};

/// The descriptions of its primitives, which oneDNN 2 and 3 make in different ways; empty where no
/// implementation takes these layouts.
dnnl::convolution_forward::primitive_desc DnnlForwardDesc(const DnnlConvolutionDesc& convolution);
dnnl::convolution_backward_data::primitive_desc DnnlBackwardDataDesc(
    const DnnlConvolutionDesc& convolution,
    const dnnl::convolution_forward::primitive_desc& forward);
dnnl::convolution_backward_weights::primitive_desc DnnlBackwardWeightsDesc(
    const DnnlConvolutionDesc& convolution,
    const dnnl::convolution_forward::primitive_desc& forward);

}  // namespace caffe

#endif  // CAFFE_UTIL_DNNL_UTIL_HPP_

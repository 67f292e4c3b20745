#include "caffe/util/dnnl_util.hpp"

namespace caffe {

const dnnl::engine& DnnlEngine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& DnnlStream() {
  static thread_local dnnl::stream stream(DnnlEngine());
  return stream;
}

dnnl::memory::format_tag ActivationTag(int block) {
  if (block == 16) return dnnl::memory::format_tag::nChw16c;
  if (block == 8) return dnnl::memory::format_tag::nChw8c;
  return dnnl::memory::format_tag::nchw;
}

namespace {

constexpr auto kTraining = dnnl::prop_kind::forward_training;
constexpr auto kDirect = dnnl::algorithm::convolution_direct;
using Forward = dnnl::convolution_forward;
using BackwardData = dnnl::convolution_backward_data;
using BackwardWeights = dnnl::convolution_backward_weights;

}  // namespace

#if DNNL_VERSION_MAJOR >= 3

dnnl::memory::dims DnnlDims(const dnnl::memory::desc& array) {
  return array.get_dims();
}

Forward::primitive_desc DnnlForwardDesc(const DnnlConvolutionDesc& c) {
  return {DnnlEngine(), kTraining,   kDirect, c.src, c.weights, c.bias, c.dst,
          c.strides,    c.dilations, c.pad,   c.pad, {},        true};
}

BackwardData::primitive_desc DnnlBackwardDataDesc(const DnnlConvolutionDesc& c,
                                                  const Forward::primitive_desc& forward) {
  return {DnnlEngine(), kDirect, c.src, c.weights, c.dst, c.strides,
          c.dilations,  c.pad,   c.pad, forward,   {},    true};
}

BackwardWeights::primitive_desc DnnlBackwardWeightsDesc(const DnnlConvolutionDesc& c,
                                                        const Forward::primitive_desc& forward) {
  return {DnnlEngine(), kDirect, c.src, c.weights, c.bias, c.dst, c.strides,
          c.dilations,  c.pad,   c.pad, forward,   {},     true};
}

#else  // oneDNN 2: the arguments make an object of their own

dnnl::memory::dims DnnlDims(const dnnl::memory::desc& array) {
  return array.dims();
}

Forward::primitive_desc DnnlForwardDesc(const DnnlConvolutionDesc& c) {
  const Forward::desc desc(kTraining, kDirect, c.src, c.weights, c.bias, c.dst, c.strides,
                           c.dilations, c.pad, c.pad);
  return {desc, DnnlEngine(), true};
}

BackwardData::primitive_desc DnnlBackwardDataDesc(const DnnlConvolutionDesc& c,
                                                  const Forward::primitive_desc& forward) {
  const BackwardData::desc desc(kDirect, c.src, c.weights, c.dst, c.strides, c.dilations, c.pad,
                                c.pad);
  return {desc, DnnlEngine(), forward, true};
}

BackwardWeights::primitive_desc DnnlBackwardWeightsDesc(const DnnlConvolutionDesc& c,
                                                        const Forward::primitive_desc& forward) {
  const BackwardWeights::desc desc(kDirect, c.src, c.weights, c.bias, c.dst, c.strides, c.dilations,
                                   c.pad, c.pad);
  return {desc, DnnlEngine(), forward, true};
}

#endif

}  // namespace caffe

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

}  // namespace caffe

#endif  // CAFFE_UTIL_DNNL_UTIL_HPP_

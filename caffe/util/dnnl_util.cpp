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

}  // namespace caffe

#include "caffe/layers/dnnl_convolution.hpp"

#include <cstring>
#include <tuple>
#include <utility>
#include <vector>

#include "caffe/layers/depthwise_gradient.hpp"
#include "caffe/util/dnnl_util.hpp"
#include "util/channel_blocks.hpp"
#include "util/scratch.hpp"

namespace caffe {

namespace {

using dnnl::memory;
using Arguments = std::unordered_map<int, memory>;
using Dims = memory::dims;
using Tag = memory::format_tag;

memory Unbound(const memory::desc& desc) {
  return memory(desc, DnnlEngine(), nullptr);
}

// A whole number of cache lines.
size_t Floats(const memory::desc& desc) {
  return (desc.get_size() + 63) / 64 * 16;
}

void Bind(Arguments* arguments, int name, const float* data) {
  arguments->at(name).set_data_handle(const_cast<float*>(data));
}

// Copies of weights and their gradients: of the convolution that is running, not of each.
thread_local Scratch scratch;

// A copy of an array in the layout that a primitive asks for; none where the array has it.
class LayoutCopy {
 public:
  LayoutCopy(const memory::desc& given, const memory::desc& wanted)
      : source_(Unbound(given)), same_(given == wanted) {
    if (same_) return;
    copy_ = Unbound(wanted);
    reorder_ = dnnl::reorder(source_, copy_);
  }
  // Floats of memory for the copy.
  size_t size() const { return same_ ? 0 : Floats(copy_.get_desc()); }
  // The data in the wanted layout; where that is a copy, it lies at `to`.
  const float* Of(const float* data, float* to) {
    if (same_) return data;
    source_.set_data_handle(const_cast<float*>(data));
    copy_.set_data_handle(to);
    reorder_.execute(DnnlStream(), source_, copy_);
    return to;
  }

 private:
  memory source_;
  bool same_;
  memory copy_;
  dnnl::reorder reorder_;
};

struct Pass {
  dnnl::primitive primitive;
  Arguments arguments;
  std::unique_ptr<LayoutCopy> weights;
};

// The layout from which the gradient of 1x1 weights is added to plain ones. Where channels out lie
// innermost, adding takes up to 15 times as long (1024 channels in, AVX-512) as with each block
// turned first, elsewhere mostly twice as long.
memory::desc LayoutToAdd(const ConvGeometry& g, const memory::desc& weights_diff) {
  if (g.group > 1 || g.kernel_h > 1 || g.kernel_w > 1) return weights_diff;
  const auto layout = [&g](Tag tag) {
    return memory::desc({g.out_channels, g.in_channels, 1, 1}, memory::data_type::f32, tag);
  };
  if (weights_diff == layout(Tag::OIhw16i16o)) return layout(Tag::OIhw16o16i);
  if (weights_diff == layout(Tag::OIhw8i8o)) return layout(Tag::OIhw8o8i);
  return weights_diff;
}

// Generated code ("jit:avx512_core", "brgconv:avx2"); the others are references and matrix
// products.
template <class Desc>
bool IsFast(const Desc& desc) {
  if (!desc) return false;
  const char* name = desc.impl_info_str();
  return std::strncmp(name, "jit", 3) == 0 || std::strncmp(name, "brg", 3) == 0;
}

}  // namespace

struct DnnlConvolution::Impl {
  ConvGeometry g;
  int src_block = 1, dst_block = 1;
  DnnlConvolutionDesc desc;  // weights: in any layout
  memory::desc weights_plain;
  dnnl::convolution_forward::primitive_desc forward_desc;
  Pass forward, backward_data, backward_weights;
  bool own_gradient = false;  // of the weights, where oneDNN has no vectorised one
  std::unique_ptr<LayoutCopy> weights_src, weights_dst;  // what backward_weights reads
  std::unique_ptr<LayoutCopy> data_dst;                  // what backward_data reads
  memory src_diff;
  memory src_diff_computed;  // what backward_data writes, where that is not src_diff
  dnnl::reorder to_src_diff;
  // Gradients of one backward pass, before they are added to the caller's; those of the weights as
  // they are computed, then in the layout that is added, weights_diff.
  memory::desc computed_weights;
  std::unique_ptr<LayoutCopy> added_weights;
  memory weights_diff, bias_diff, weights_target;
  dnnl::reorder add_weights;

  dnnl::convolution_forward::primitive_desc TryForward(int src_blk, int dst_blk) {
    const auto f32 = memory::data_type::f32;
    desc.src = memory::desc({g.num, g.in_channels, g.in_h, g.in_w}, f32, ActivationTag(src_blk));
    desc.dst = memory::desc({g.num, g.out_channels, g.out_h, g.out_w}, f32, ActivationTag(dst_blk));
    src_block = src_blk;
    dst_block = dst_blk;
    return DnnlForwardDesc(desc);
  }

  void MakeForward();
  void MakeBackwardData();
  void MakeBackwardWeights();
};

void DnnlConvolution::Impl::MakeForward() {
  const auto f32 = memory::data_type::f32;
  const Dims weights_dims =
      g.group > 1
          ? Dims{g.group, g.out_channels / g.group, g.in_channels / g.group, g.kernel_h, g.kernel_w}
          : Dims{g.out_channels, g.in_channels, g.kernel_h, g.kernel_w};
  weights_plain = memory::desc(weights_dims, f32, g.group > 1 ? Tag::goihw : Tag::oihw);
  desc.weights = memory::desc(weights_dims, f32, Tag::any);
  if (g.bias) desc.bias = memory::desc({g.out_channels}, f32, Tag::x);
  desc.strides = {g.stride_h, g.stride_w};
  desc.dilations = {g.dilation_h - 1, g.dilation_w - 1};
  desc.pad = {g.pad_h, g.pad_w};

  // Blocks where the channels fill them; images with few channels enter plain.
  const int block = NativeChannelBlock();
  const int wanted_src = g.in_channels >= block ? block : 1;
  const int wanted_dst = g.out_channels >= block ? block : 1;
  forward_desc = TryForward(wanted_src, wanted_dst);
  if (!IsFast(forward_desc)) {
    const auto plain = TryForward(1, 1);
    if (plain) forward_desc = plain;
  }
  forward.primitive = dnnl::convolution_forward(forward_desc);
  forward.weights.reset(new LayoutCopy(weights_plain, forward_desc.weights_desc()));
  forward.arguments = {{DNNL_ARG_SRC, Unbound(desc.src)},
                       {DNNL_ARG_WEIGHTS, Unbound(forward_desc.weights_desc())},
                       {DNNL_ARG_DST, Unbound(desc.dst)}};
  if (g.bias) forward.arguments.insert({DNNL_ARG_BIAS, Unbound(desc.bias)});
}

void DnnlConvolution::Impl::MakeBackwardData() {
  const auto f32 = memory::data_type::f32;
  // The layouts of the forward pass have no vectorised implementation where the gradient of an
  // image with few channels is asked for, nor, on AVX2, where images are smaller than the kernel.
  // Copies into channels filled up to a block, or into plain ones for a matrix product, are a
  // hundred times faster than the reference that is left.
  const memory::desc &src = desc.src, &dst = desc.dst;
  const memory::desc plain_src(DnnlDims(src), f32, Tag::nchw);
  const memory::desc plain_dst(DnnlDims(dst), f32, Tag::nchw);
  const memory::desc blocked_src(DnnlDims(src), f32, ActivationTag(NativeChannelBlock()));
  DnnlConvolutionDesc copied = desc;
  memory::desc &from = copied.dst, &to = copied.src;
  dnnl::convolution_backward_data::primitive_desc pd;
  for (const auto& layouts : {std::make_pair(dst, src), std::make_pair(dst, blocked_src),
                              std::make_pair(plain_dst, plain_src)}) {
    std::tie(from, to) = layouts;
    pd = DnnlBackwardDataDesc(copied, forward_desc);
    if (IsFast(pd)) break;
  }
  backward_data.primitive = dnnl::convolution_backward_data(pd);
  backward_data.weights.reset(new LayoutCopy(weights_plain, pd.weights_desc()));
  data_dst.reset(new LayoutCopy(dst, from));
  src_diff = Unbound(src);
  if (to != src) {
    src_diff_computed = Unbound(to);
    to_src_diff = dnnl::reorder(src_diff_computed, src_diff);
  }
  backward_data.arguments = {{DNNL_ARG_DIFF_DST, Unbound(from)},
                             {DNNL_ARG_WEIGHTS, Unbound(pd.weights_desc())},
                             {DNNL_ARG_DIFF_SRC, Unbound(to)}};
}

void DnnlConvolution::Impl::MakeBackwardWeights() {
  const memory::desc &src = desc.src, &dst = desc.dst;
  DnnlConvolutionDesc copied = desc;
  memory::desc &from = copied.src, &to = copied.dst;
  auto pd = DnnlBackwardWeightsDesc(copied, forward_desc);
  if (!IsFast(pd)) {
    // Images smaller than the kernel: depthwise ones have no vectorised implementation, the others
    // none on AVX2. A matrix product of plain copies is a hundred times faster than the reference
    // that is left.
    own_gradient = IsDepthwise(g) && src_block == dst_block;
    if (own_gradient) return;
    from = memory::desc(DnnlDims(src), memory::data_type::f32, Tag::nchw);
    to = memory::desc(DnnlDims(dst), memory::data_type::f32, Tag::nchw);
    pd = DnnlBackwardWeightsDesc(copied, forward_desc);
  }
  weights_src.reset(new LayoutCopy(src, from));
  weights_dst.reset(new LayoutCopy(dst, to));
  backward_weights.primitive = dnnl::convolution_backward_weights(pd);
  computed_weights = pd.diff_weights_desc();
  backward_weights.arguments = {{DNNL_ARG_SRC, Unbound(from)},
                                {DNNL_ARG_DIFF_DST, Unbound(to)},
                                {DNNL_ARG_DIFF_WEIGHTS, Unbound(computed_weights)}};
  if (g.bias) {
    bias_diff = memory(desc.bias, DnnlEngine());
    backward_weights.arguments.insert({DNNL_ARG_DIFF_BIAS, bias_diff});
  }
  dnnl::post_ops sum;
  sum.append_sum(1.0f);
  dnnl::primitive_attr add;
  add.set_post_ops(sum);
  const memory::desc layout = LayoutToAdd(g, computed_weights);
  added_weights.reset(new LayoutCopy(computed_weights, layout));
  weights_diff = Unbound(layout);
  weights_target = Unbound(weights_plain);
  add_weights = dnnl::reorder(weights_diff, weights_target, add);
}

DnnlConvolution::DnnlConvolution(const ConvGeometry& geometry)
    : FloatConvolution(geometry), impl_(new Impl) {
  impl_->g = geometry;
  impl_->MakeForward();
}

DnnlConvolution::~DnnlConvolution() = default;

int DnnlConvolution::src_block() const {
  return impl_->src_block;
}
int DnnlConvolution::dst_block() const {
  return impl_->dst_block;
}

void DnnlConvolution::Forward(const float* src, const float* weights, const float* bias,
                              float* dst) {
  Pass& pass = impl_->forward;
  Bind(&pass.arguments, DNNL_ARG_SRC, src);
  Bind(&pass.arguments, DNNL_ARG_WEIGHTS,
       pass.weights->Of(weights, scratch.Get(pass.weights->size())));
  if (impl_->g.bias) Bind(&pass.arguments, DNNL_ARG_BIAS, bias);
  Bind(&pass.arguments, DNNL_ARG_DST, dst);
  pass.primitive.execute(DnnlStream(), pass.arguments);
}

void DnnlConvolution::BackwardData(const float* dst_diff, const float* weights, float* src_diff) {
  Pass& pass = impl_->backward_data;
  if (!pass.primitive) impl_->MakeBackwardData();
  LayoutCopy& from = *impl_->data_dst;
  memory& copy = impl_->src_diff_computed;
  const size_t copied = copy ? Floats(copy.get_desc()) : 0;
  float* memory = scratch.Get(pass.weights->size() + from.size() + copied);
  float* to = copied ? memory + pass.weights->size() + from.size() : src_diff;
  Bind(&pass.arguments, DNNL_ARG_WEIGHTS, pass.weights->Of(weights, memory));
  Bind(&pass.arguments, DNNL_ARG_DIFF_DST, from.Of(dst_diff, memory + pass.weights->size()));
  Bind(&pass.arguments, DNNL_ARG_DIFF_SRC, to);
  pass.primitive.execute(DnnlStream(), pass.arguments);
  if (!copied) return;
  copy.set_data_handle(to);
  impl_->src_diff.set_data_handle(src_diff);
  impl_->to_src_diff.execute(DnnlStream(), copy, impl_->src_diff);
}

void DnnlConvolution::BackwardWeights(const float* src, const float* dst_diff, float* weights_diff,
                                      float* bias_diff) {
  Pass& pass = impl_->backward_weights;
  if (!pass.primitive && !impl_->own_gradient) impl_->MakeBackwardWeights();
  if (impl_->own_gradient) {
    return AddDepthwiseGradient(impl_->g, impl_->src_block, src, dst_diff, weights_diff, bias_diff);
  }
  LayoutCopy &from = *impl_->weights_src, &to = *impl_->weights_dst;
  LayoutCopy& added = *impl_->added_weights;
  const size_t computed = Floats(impl_->computed_weights);
  float* memory = scratch.Get(from.size() + to.size() + computed + added.size());
  float* diff = memory + from.size() + to.size();
  Bind(&pass.arguments, DNNL_ARG_SRC, from.Of(src, memory));
  Bind(&pass.arguments, DNNL_ARG_DIFF_DST, to.Of(dst_diff, memory + from.size()));
  Bind(&pass.arguments, DNNL_ARG_DIFF_WEIGHTS, diff);
  pass.primitive.execute(DnnlStream(), pass.arguments);
  if (weights_diff) {
    impl_->weights_diff.set_data_handle(const_cast<float*>(added.Of(diff, diff + computed)));
    impl_->weights_target.set_data_handle(weights_diff);
    impl_->add_weights.execute(DnnlStream(), impl_->weights_diff, impl_->weights_target);
  }
  if (bias_diff) {
    const float* computed = static_cast<const float*>(impl_->bias_diff.get_data_handle());
    for (int i = 0; i < impl_->g.out_channels; ++i) bias_diff[i] += computed[i];
  }
}

}  // namespace caffe

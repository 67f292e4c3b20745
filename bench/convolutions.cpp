// bench_convolutions: a network's convolutions as bare oneDNN primitives, forward and backward, as
// one line of JSON. Every memory has the layout that oneDNN prefers for it, no reorder is made and
// nothing happens in between: what the convolutions of a training step could cost at best.

#include "bench/common.hpp"
#include "caffe/util/dnnl_util.hpp"

DEFINE_string(model, "resnet20", "resnet20, vgg9 or mobilenet");
DEFINE_int32(batch, 128, "Images per step");
DEFINE_int32(steps, 10, "Steps to measure");
DEFINE_int32(warmup, 3, "Steps before, not measured");
DEFINE_bool(serve, false, "Measure again for every line of standard input");

namespace {

using dnnl::memory;
using metaperturb::bench::JsonLine;
using metaperturb::bench::Median;
using metaperturb::bench::Stopwatch;

memory::desc Any(const memory::dims& dims) {
  return memory::desc(dims, memory::data_type::f32, memory::format_tag::any);
}

/// Filled with small numbers: zeros would be kind to a processor that saves power, and what is left
/// in memory may be denormal.
memory Allocate(const memory::desc& desc) {
  memory result(desc, caffe::DnnlEngine());
  float* values = static_cast<float*>(result.get_data_handle());
  for (size_t i = 0; i < desc.get_size() / sizeof(float); ++i) values[i] = 0.01f * (i % 7 - 3.0f);
  return result;
}

struct Primitive {
  dnnl::primitive primitive;
  std::unordered_map<int, memory> arguments;
  void Run(dnnl::stream* stream) const { primitive.execute(*stream, arguments); }
};

struct Convolution {
  Primitive forward, backward_data, backward_weights;
  bool first;
  double multiply_adds;  // of the forward pass

  Convolution(const caffe::ConvolutionParameter& param, const caffe::Blob<float>& x,
              const caffe::Blob<float>& y, const caffe::Blob<float>& w, bool is_first)
      : first(is_first) {
    const auto field = [](const auto& values, int otherwise) -> memory::dim {
      return values.size() ? values.Get(0) : otherwise;
    };
    const memory::dim stride = field(param.stride(), 1), pad = field(param.pad(), 0);
    memory::dims weights(w.shape().begin(), w.shape().end());
    if (param.group() > 1) {
      weights[0] /= param.group();
      weights.insert(weights.begin(), param.group());
    }
    multiply_adds = static_cast<double>(y.count()) * w.count(1);

    const memory::dims src(x.shape().begin(), x.shape().end());
    const memory::dims dst(y.shape().begin(), y.shape().end());
    const caffe::DnnlConvolutionDesc desc{Any(src),         Any(weights), {},        Any(dst),
                                          {stride, stride}, {0, 0},       {pad, pad}};
    const auto f = caffe::DnnlForwardDesc(desc);
    forward.primitive = dnnl::convolution_forward(f);
    forward.arguments = {{DNNL_ARG_SRC, Allocate(f.src_desc())},
                         {DNNL_ARG_WEIGHTS, Allocate(f.weights_desc())},
                         {DNNL_ARG_DST, Allocate(f.dst_desc())}};
    if (!first) {
      const auto d = caffe::DnnlBackwardDataDesc(desc, f);
      backward_data.primitive = dnnl::convolution_backward_data(d);
      backward_data.arguments = {{DNNL_ARG_DIFF_DST, Allocate(d.diff_dst_desc())},
                                 {DNNL_ARG_WEIGHTS, Allocate(d.weights_desc())},
                                 {DNNL_ARG_DIFF_SRC, Allocate(d.diff_src_desc())}};
    }
    const auto b = caffe::DnnlBackwardWeightsDesc(desc, f);
    backward_weights.primitive = dnnl::convolution_backward_weights(b);
    const auto reuse = [](const Primitive& other, int argument, const memory::desc& desc) {
      const auto found = other.arguments.find(argument);
      const bool fits = found != other.arguments.end() && found->second.get_desc() == desc;
      return fits ? found->second : Allocate(desc);
    };
    backward_weights.arguments = {
        {DNNL_ARG_SRC, reuse(forward, DNNL_ARG_SRC, b.src_desc())},
        {DNNL_ARG_DIFF_DST, reuse(backward_data, DNNL_ARG_DIFF_DST, b.diff_dst_desc())},
        {DNNL_ARG_DIFF_WEIGHTS, Allocate(b.diff_weights_desc())}};
  }
};

std::vector<Convolution> ConvolutionsOf(const std::string& model) {
  const caffe::Net<float> net(metaperturb::bench::TrainingModel(model, false, false, FLAGS_batch));
  std::vector<Convolution> result;
  for (size_t i = 0; i < net.layers().size(); ++i) {
    caffe::Layer<float>& layer = *net.layers()[i];
    if (std::string(layer.type()) != "Convolution") continue;
    result.emplace_back(layer.layer_param().convolution_param(), *net.bottom_vecs()[i][0],
                        *net.top_vecs()[i][0], *layer.blobs()[0], result.empty());
  }
  return result;
}

void Run() {
  ENFORCE(FLAGS_steps > 0) << "--steps=" << FLAGS_steps << ": must be above 0";
  const std::vector<Convolution> convolutions = ConvolutionsOf(FLAGS_model);
  dnnl::stream& stream = caffe::DnnlStream();
  double multiply_adds = 0;
  for (const Convolution& c : convolutions) multiply_adds += c.multiply_adds * (c.first ? 2 : 3);
  const auto step = [&] {
    const Stopwatch watch;
    for (const Convolution& c : convolutions) c.forward.Run(&stream);
    for (auto c = convolutions.rbegin(); c != convolutions.rend(); ++c) {
      c->backward_weights.Run(&stream);
      if (!c->first) c->backward_data.Run(&stream);
    }
    stream.wait();
    return watch.Milliseconds();
  };
  for (int i = 0; i < FLAGS_warmup; ++i) step();
  metaperturb::bench::Serve(FLAGS_serve, [&] {
    if (FLAGS_serve) step();  // the first one after a wait is slower
    std::vector<double> samples;
    for (int i = 0; i < FLAGS_steps; ++i) samples.push_back(step());
    const double median = Median(samples);
    JsonLine line;
    line.Add("program", "bench_convolutions")
        .Add("model", FLAGS_model)
        .Add("batch", FLAGS_batch)
        .Add("threads", metaperturb::bench::Threads())
        .Add("convolutions", static_cast<double>(convolutions.size()))
        .Add("gflop_per_s", 2 * multiply_adds / median / 1e6)
        .Add("median_ms", median)
        .Add("samples_ms", samples)
        .Add("peak_memory_mib", metaperturb::bench::PeakMemory())
        .Print();
  });
}

}  // namespace

int main(int argc, char** argv) {
  return metaperturb::bench::Main(
      argc, argv, "bench_convolutions --model=resnet20|vgg9|mobilenet [--steps=N]", &Run);
}

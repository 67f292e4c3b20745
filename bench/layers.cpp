// bench_layers: single layers at the shapes of ResNet-20, batch 128, with Google Benchmark
// (--benchmark_filter=REGEX and so on). Items are elements of the layer's input; bytes count one
// read and one write of it forward, and two reads and one write backward.

#include <benchmark/benchmark.h>

#include "bench/common.hpp"
#include "bench/layer_net.hpp"
#include "util/threads.hpp"

namespace {

using metaperturb::bench::LayerNet;
using metaperturb::bench::MetaPerturbText;
using metaperturb::bench::Shape;

constexpr int kBatch = 128;

void Measure(benchmark::State& state, const std::string& layers, const Shape& shape,
             bool backward) {
  LayerNet net(layers, kBatch, shape);
  for (auto iteration : state) {
    (void)iteration;
    backward ? net.Backward() : net.Forward();
  }
  const double items = net.elements() * static_cast<double>(state.iterations());
  state.SetItemsProcessed(static_cast<int64_t>(items));
  state.SetBytesProcessed(static_cast<int64_t>(items * sizeof(float) * (backward ? 3 : 2)));
}

void Register(const std::string& name, const std::string& layers) {
  for (const Shape& shape : metaperturb::bench::kShapes) {
    for (const bool backward : {false, true}) {
      const std::string full = name + "/" + (backward ? "backward" : "forward") + "/" +
                               std::to_string(shape.channels) + "x" + std::to_string(shape.extent) +
                               "x" + std::to_string(shape.extent);
      benchmark::RegisterBenchmark(
          full.c_str(), [=](benchmark::State& state) { Measure(state, layers, shape, backward); })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  caffe::ConfigureThreads(argv);
  FLAGS_minloglevel = google::GLOG_WARNING;
  FLAGS_logtostderr = true;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::AddCustomContext("threads", std::to_string(metaperturb::bench::Threads()));
  Register("MetaPerturb", MetaPerturbText(false));
  Register("MetaPerturbLearned", MetaPerturbText(true));
  Register("BatchNormScaleReLU",
           "layer { name: 'n' type: 'BatchNorm' bottom: 'x' top: 'y' }"
           "layer { name: 's' type: 'Scale' bottom: 'y' top: 'y' scale_param { bias_term: true } }"
           "layer { name: 'r' type: 'ReLU' bottom: 'y' top: 'y' }");
  Register("Pooling",
           "layer { name: 'p' type: 'Pooling' bottom: 'x' top: 'y' pooling_param { "
           "kernel_size: 2 stride: 2 } }");
  for (const char* engine : {"DEFAULT", "CAFFE"}) {  // CAFFE: the direct sum
    for (const char* outputs : {"16", "32", "64", "256"}) {
      Register(std::string("Convolution") + outputs + "/" + engine,
               std::string("layer { name: 'c' type: 'Convolution' bottom: 'x' top: 'y' "
                           "convolution_param { num_output: ") +
                   outputs + " kernel_size: 3 pad: 1 bias_term: false engine: " + engine +
                   " weight_filler { type: 'msra' } } }");
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

// bench_roofline: what this machine can do, and how near to it the MetaPerturb layer comes, as
// lines of JSON.
//
// Peak: independent fused multiply-adds on the widest vectors, 2 operations each. Bandwidth: copy
// (memcpy, 2 x 4 bytes per float) and triad a = b + s c (3 x 4 bytes) over arrays beyond any cache;
// the read that a write may cause is not counted. Both: the best of the repetitions.
//
// Per element of x, MetaPerturb is counted with what the formula needs, not with what the layer
// does:
//   forward            54 multiply-adds: a1 9, a2 9, kappa 4 x 9; read x, write y: 8 bytes
//   backward           54: the transposed stencils;  read x and dy, write dx: 12 bytes
//   backward, learned  108: for phi's gradient as many again
// Noise, softplus and what is done once per channel or pixel come on top of that time, uncounted:
// noise MEAN shows what sampling costs. The bound is the larger of operations / peak and bytes /
// triad bandwidth.

#include <algorithm>
#include <cstring>

#include "bench/common.hpp"
#include "bench/layer_net.hpp"

DEFINE_int32(batch, 128, "Images");
DEFINE_int32(repetitions, 20, "Measurements, of which the median counts");

namespace {

using metaperturb::bench::JsonLine;
using metaperturb::bench::LayerNet;
using metaperturb::bench::Median;
using metaperturb::bench::MetaPerturbText;
using metaperturb::bench::Shape;
using metaperturb::bench::Stopwatch;

template <class Work>
std::vector<double> Seconds(const Work& work) {
  work();
  std::vector<double> samples;
  for (int i = 0; i < FLAGS_repetitions; ++i) {
    const Stopwatch watch;
    work();
    samples.push_back(watch.Milliseconds() / 1e3);
  }
  return samples;
}

template <class Work>
double MedianSeconds(const Work& work) {
  return Median(Seconds(work));
}

/// For what the machine can do: others can only make it seem slower.
template <class Work>
double LeastSeconds(const Work& work) {
  const std::vector<double> samples = Seconds(work);
  return *std::min_element(samples.begin(), samples.end());
}

constexpr int kChains = 10;  // latency 4 or 5, two per cycle
constexpr int kRounds = 4000000;

// The compiler may fuse a * b + c where the target has the instruction (-ffp-contract=fast is GCC's
// default outside ISO mode, so it is asked for here).
#define FMA_CHAINS(NAME, TARGET, BYTES)                                                    \
  __attribute__((target(TARGET), optimize("fp-contract=fast"))) float NAME(float factor) { \
    typedef float V __attribute__((vector_size(BYTES)));                                   \
    V sum[kChains];                                                                        \
    for (V & s : sum) s = V{} + factor;                                                    \
    const V a = V{} + factor, b = V{} + 1e-3f;                                             \
    for (int i = 0; i < kRounds; ++i) {                                                    \
      _Pragma("GCC unroll 10") for (int c = 0; c < kChains; ++c) sum[c] = sum[c] * a + b;  \
    }                                                                                      \
    V total{};                                                                             \
    for (const V& s : sum) total += s;                                                     \
    return total[0];                                                                       \
  }
FMA_CHAINS(Chains64, "avx512f", 64)
FMA_CHAINS(Chains32, "avx2,fma", 32)
FMA_CHAINS(Chains16, "sse2", 16)
#undef FMA_CHAINS

double PeakGflops() {
  const bool avx512 = __builtin_cpu_supports("avx512f");
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const auto chains = avx512 ? &Chains64 : avx2 ? &Chains32 : &Chains16;
  const int lanes = avx512 ? 16 : avx2 ? 8 : 4;
  volatile float sink = 0;
  const double seconds = LeastSeconds([&] {
#pragma omp parallel
    {
      const float value = chains(0.5f);
#pragma omp critical
      sink = value;
    }
  });
  (void)sink;
  return 2.0 * lanes * kChains * kRounds * metaperturb::bench::Threads() / seconds / 1e9;
}

struct Bandwidth {
  double copy, triad;  // GB/s
};

Bandwidth MeasureBandwidth() {
  const size_t count = size_t{1} << 25;  // 128 MiB each
  std::unique_ptr<float[]> a(new float[count]), b(new float[count]), c(new float[count]);
  // Touched by the thread that will use it.
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < count; ++i) {
    a[i] = 0;
    b[i] = 1;
    c[i] = 2;
  }
  const size_t parts = metaperturb::bench::Threads();
  const double copy = LeastSeconds([&] {
#pragma omp parallel for schedule(static)
    for (size_t p = 0; p < parts; ++p) {
      const size_t begin = count * p / parts, end = count * (p + 1) / parts;
      std::memcpy(&a[begin], &b[begin], (end - begin) * sizeof(float));
    }
  });
  const double triad = LeastSeconds([&] {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; ++i) a[i] = b[i] + 3 * c[i];
  });
  const double bytes = static_cast<double>(count) * sizeof(float) / 1e9;
  return {2 * bytes / copy, 3 * bytes / triad};
}

void Report(const std::string& what, const Shape& shape, double elements, double seconds,
            double multiply_adds, double bytes, double peak, double bandwidth) {
  const double gflops = 2 * multiply_adds * elements / seconds / 1e9;
  const double gbytes = bytes * elements / seconds / 1e9;
  const double bound =
      std::max(2 * multiply_adds * elements / peak, bytes * elements / bandwidth) / 1e9;
  JsonLine line;
  line.Add("pass", what)
      .Add("channels", shape.channels)
      .Add("extent", shape.extent)
      .Add("median_ms", seconds * 1e3)
      .Add("ns_per_element", seconds / elements * 1e9)
      .Add("multiply_adds_per_element", multiply_adds)
      .Add("bytes_per_element", bytes)
      .Add("gflop_per_s", gflops)
      .Add("gb_per_s", gbytes)
      .Add("bound_ms", bound * 1e3)
      .Add("share_of_bound", bound / seconds)
      .Print();
}

void Run() {
  ENFORCE(FLAGS_repetitions > 0) << "--repetitions=" << FLAGS_repetitions << ": must be above 0";
  ENFORCE(FLAGS_batch > 1) << "--batch=" << FLAGS_batch << ": must be at least 2";
  const double peak = PeakGflops();
  const Bandwidth bandwidth = MeasureBandwidth();
  JsonLine line;
  line.Add("program", "bench_roofline")
      .Add("threads", metaperturb::bench::Threads())
      .Add("peak_gflop_per_s", peak)
      .Add("copy_gb_per_s", bandwidth.copy)
      .Add("triad_gb_per_s", bandwidth.triad)
      .Print();
  for (const Shape& shape : metaperturb::bench::kShapes) {
    LayerNet frozen(MetaPerturbText(false), FLAGS_batch, shape);
    LayerNet mean(MetaPerturbText(false, "MEAN"), FLAGS_batch, shape);
    LayerNet learned(MetaPerturbText(true), FLAGS_batch, shape);
    const auto report = [&](const char* what, LayerNet* net, bool backward, double multiply_adds) {
      const double seconds = MedianSeconds([&] { backward ? net->Backward() : net->Forward(); });
      Report(what, shape, net->elements(), seconds, multiply_adds, backward ? 12 : 8, peak,
             bandwidth.triad);
    };
    report("forward", &frozen, false, 54);
    report("forward, noise MEAN", &mean, false, 54);
    report("backward, phi frozen", &frozen, true, 54);
    report("backward, phi learned", &learned, true, 108);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return metaperturb::bench::Main(argc, argv, "bench_roofline [--batch=128] [--repetitions=20]",
                                  &Run);
}

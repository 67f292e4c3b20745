#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "caffe/layers/convolution_windows.hpp"
#include "caffe/layers/gpu_convolution.hpp"
#include "caffe/util/device_workspace.hpp"

namespace caffe {

namespace {

typedef WarpTiles<4> ImageTiles;    // 16 channels x 32 pixels
typedef WarpTiles<18> WeightTiles;  // 16 outputs x 16 inputs, for each of the 9 taps
const int kTaps = 9, kWarps = 8, kThreads = kWarps * Block::kWarp;
const int kSumsAtOnce = 3;  // tiles of WeightTiles whose sums over the warps are in shared memory
const int kMostChannels = 64;
// What needs no asking, and what any GPU with such cores has.
const size_t kShared = (48 << 10) - Block::kSumBytes, kMostShared = (96 << 10) - Block::kSumBytes;

/// y[n,m] = bias[m] + sum over channels and taps of weights x windows, for one part of one image
/// and one or two rows of 16 channels m. Each warp has 16 channels and 32 pixels. `transposed`: the
/// weights are channels x out_channels, turned by 180 degrees.
template <bool transposed, int rows>
struct Correlate {
  static const int kBlockThreads = kThreads, kBlocksAtOnce = 4;
  static const int kLead = 16 * rows + 8;  // of a row of weights in shared memory
  Windows in;
  int out_channels;
  int warps;
  int depth;     // channels that are in shared memory at a time: 8 or 16
  int plane;     // of a channel's values in shared memory
  bool aligned;  // rows of weights begin at multiples of 16 bytes
  Divisor by_row_blocks, by_row;
  const float *x, *weights, *bias;
  float* y;

  Correlate(const Windows& windows, int outputs)
      : in(windows),
        out_channels(outputs),
        warps(rows * ((in.pixels - 1) / 32 + 1)),
        depth(16),
        plane(PlaneSize(windows.Size(), 8)),
        aligned(false),
        by_row_blocks(RowBlocks()),
        by_row(1) {
    if (in.channels <= 8 || Bytes() > kShared) depth = 8;
    by_row = Divisor(kTaps * (transposed ? 16 * rows : depth) / 4);
  }
  /// Of a part: small images leave too few blocks of eight warps.
  static int PixelsFor(int area) { return (area > 128 ? 8 : 4) / rows * 32; }
  /// Blocks for all rows.
  int RowBlocks() const { return (out_channels - 1) / (16 * rows) + 1; }
  size_t Bytes() const {
    return (size_t(depth) * (plane + kTaps * kLead) + in.pixels + 64) * sizeof(float);
  }
  void Start(const float* source, const float* kernel, const float* shift, float* target, int num) {
    in.ReadFrom(source);
    x = source;
    weights = kernel;
    bias = shift;
    y = target;
    aligned = reinterpret_cast<uintptr_t>(weights) % 16 == 0 &&
              (transposed ? out_channels : in.channels) % 4 == 0;
    ForEachBlock(num * in.Parts() * RowBlocks(), warps * Block::kWarp, Bytes(), *this);
  }

  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int unit = by_row_blocks.Quotient(block.index());
    const int m0 = by_row_blocks.Remainder(block.index()) * rows * 16;
    const int image = in.by_parts.Quotient(unit), first = in.by_parts.Remainder(unit) * in.pixels;
    float* values = block.Shared<float>(depth * plane);
    float* kernel = block.Shared<float>(depth * kTaps * kLead);
    int* offsets = block.Shared<int>(in.pixels + 32);
    block.Begin((warps >> (rows - 1)) * 32, [&](int p) { offsets[p] = in.Offset(first, 0, p); });
    in.ClearMargins(block, depth, plane, values);
    ImageTiles tiles(block);
    const float* source = x + size_t(image) * in.channels * in.height * in.width;
    for (int c0 = 0; c0 < in.channels; c0 += depth) {
      if (c0 > 0) block.Wait();  // all have read what is overwritten now
      in.Load(block, source, 1, first, c0, depth, plane, values);
      LoadWeights(block, c0, m0, kernel);
      for (int c = 0; c < depth; c += ImageTiles::kDepth) {
        Multiply(c, values, kernel, offsets, &tiles);
      }
    }
    float* target = y + (size_t(image) * out_channels + m0) * in.Area() + first;
    const int left = in.Area() - first;
    CAFFE_UNROLL
    for (int t = 0; t < 4; ++t) {
      tiles.ForEach(t, [&](int warp, int m, int n, float sum) {
        const int channel = RowOf(warp) + m, p = (warp >> (rows - 1)) * 32 + t * 8 + n;
        if (m0 + channel >= out_channels || p >= in.pixels || p >= left) return;
        target[channel * in.Area() + p] = bias ? sum + bias[m0 + channel] : sum;
      });
    }
  }
  // Of the block's channels, the first of a warp.
  CAFFE_HOST_DEVICE int RowOf(int warp) const { return (warp & (rows - 1)) * 16; }

  // kernel[(c 9 + tap) kLead + m]. In memory the values of a row, of one m or, transposed, of one
  // c, are one after another.
  CAFFE_HOST_DEVICE void LoadWeights(const Block& block, int c0, int m0, float* kernel) const {
    const int outputs = rows * 16, in_row = kTaps * (transposed ? outputs : depth) / 4;
    block.Copy<4>(
        outputs * depth * kTaps / 4,
        [&](int i) {
          const int row = by_row.Quotient(i), at = (i - row * in_row) * 4;
          const int c = c0 + (transposed ? row : 0), m = m0 + (transposed ? 0 : row);
          const int begin = (transposed ? c * out_channels + m : m * in.channels + c) * kTaps + at;
          // What is left of the row in memory.
          const int left = (transposed ? out_channels - m0 : in.channels - c0) * kTaps - at;
          const bool there = c < in.channels && m < out_channels;
          if (aligned && there && left >= 4) return LoadNeighbours<4>(weights + begin);
          Neighbours<float, 4> loaded;
          CAFFE_UNROLL
          for (int j = 0; j < 4; ++j) {
            loaded.at[j] = there && j < left ? weights[begin + j] : 0.f;
          }
          return loaded;
        },
        [&](int i, const Neighbours<float, 4>& loaded) {
          const int row = by_row.Quotient(i), at = (i - row * in_row) * 4;
          CAFFE_UNROLL
          for (int j = 0; j < 4; ++j) {
            const float value = RoundToTensorFloat(loaded.at[j]);
            const int m = (at + j) / kTaps;
            if (transposed) {
              kernel[(row * kTaps + kTaps - 1 - (at + j - m * kTaps)) * kLead + m] = value;
            } else {
              kernel[(at + j) * kLead + row] = value;
            }
          }
        });
    block.Wait();
  }

  CAFFE_HOST_DEVICE void Multiply(int c, const float* values, const float* kernel,
                                  const int* offsets, ImageTiles* tiles) const {
    CAFFE_UNROLL
    for (int tap = 0; tap < kTaps; ++tap) {
      const float* shifted = values + c * plane + tap / 3 * in.pitch + tap % 3;
      tiles->AddProducts(
          [&](int warp, int m, int k) {
            return kernel[((c + k) * kTaps + tap) * kLead + RowOf(warp) + m];
          },
          [&](int warp, int t, int k, int n) {
            return shifted[k * plane + offsets[(warp >> (rows - 1)) * 32 + t * 8 + n]];
          });
    }
  }
};

/// A part of dweights[m,c] = sum over images and pixels of dy[n,m] x window[n,c], for 16 channels
/// m, 16 channels c and some images or parts of them. Each warp has an eighth of the pixels.
struct CorrelateGradient {
  Windows in;
  int num, out_channels;
  int units, units_of_block;      // `in.images` images, or a part of one; in all, of a block
  int x_plane, dy_plane, pixels;  // in shared memory; pixels: of a unit, rounded up
  Divisor by_pixels;
  const float *x, *dy;
  float* parts;

  CorrelateGradient(const Windows& windows, int images, int outputs)
      : in(windows), num(images), out_channels(outputs), by_pixels(windows.pixels) {
    pixels = (in.images * in.pixels - 1) / (kWarps * 8) * (kWarps * 8) + kWarps * 8;
    x_plane = PlaneSize(in.Size(), 4);
    dy_plane = PlaneSize(pixels, 4);
    units = ((num - 1) / in.images + 1) * in.Parts();
    const int wanted = std::max(1, 256 / Combinations());
    units_of_block = (units - 1) / std::min(units, wanted) + 1;
  }
  int Combinations() const { return ((out_channels - 1) / 16 + 1) * ((in.channels - 1) / 16 + 1); }
  int Blocks() const { return (units - 1) / units_of_block + 1; }
  size_t Bytes() const {
    const size_t gradient = std::max(16 * dy_plane, kSumsAtOnce * kWarps * 128);
    return (16 * size_t(x_plane) + gradient + pixels + 16) * sizeof(float);
  }

  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int c_rows = (in.channels - 1) / 16 + 1, m_rows = (out_channels - 1) / 16 + 1;
    const int c0 = block.index() % c_rows * 16, m0 = block.index() / c_rows % m_rows * 16;
    const int part = block.index() / c_rows / m_rows;
    float* values = block.Shared<float>(16 * x_plane);
    const int sums = kSumsAtOnce * kWarps * 128;
    float* gradient = block.Shared<float>(sums > 16 * dy_plane ? sums : 16 * dy_plane);
    int* offsets = block.Shared<int>(pixels);
    in.ClearMargins(block, 16, x_plane, values);
    WeightTiles tiles(block);
    const int last = (part + 1) * units_of_block < units ? (part + 1) * units_of_block : units;
    for (int unit = part * units_of_block; unit < last; ++unit) {
      Load(block, unit, c0, m0, values, gradient, offsets);
      for (int q = 0; q < pixels / (kWarps * 8); ++q) {
        tiles.AddProducts(
            [&](int warp, int m, int k) {
              return gradient[m * dy_plane + (q * kWarps + warp) * 8 + k];
            },
            [&](int warp, int t, int k, int n) {
              const int tap = t / 2;
              return values[(t % 2 * 8 + n) * x_plane + offsets[(q * kWarps + warp) * 8 + k] +
                            tap / 3 * in.pitch + tap % 3];
            });
      }
      block.Wait();  // all have read what is overwritten now
    }
    // The warps' sums, in the order taps x outputs x inputs.
    float* out = parts + size_t(part) * out_channels * in.channels * kTaps;
    CAFFE_UNROLL
    for (int t0 = 0; t0 < 2 * kTaps; t0 += kSumsAtOnce) {
      CAFFE_UNROLL
      for (int t = 0; t < kSumsAtOnce; ++t) {
        tiles.ForEach(t0 + t, [&](int warp, int m, int n, float sum) {
          gradient[(warp * kSumsAtOnce + t) * 128 + m * 8 + n] = sum;
        });
      }
      block.Wait();
      block.Run(kSumsAtOnce * 128, [&](int i) {
        const int t = t0 + i / 128, m = m0 + i % 128 / 8, c = c0 + t % 2 * 8 + i % 8;
        if (m >= out_channels || c >= in.channels) return;
        float sum = 0;
        for (int w = 0; w < kWarps; ++w) sum += gradient[w * (kSumsAtOnce * 128) + i];
        out[(t / 2 * out_channels + m) * in.channels + c] = sum;
      });
    }
  }

  CAFFE_HOST_DEVICE void Load(const Block& block, int unit, int c0, int m0, float* values,
                              float* gradient, int* offsets) const {
    const int image = in.by_parts.Quotient(unit) * in.images;
    const int first = in.by_parts.Remainder(unit) * in.pixels;
    const int left = num - image < in.images ? num - image : in.images;
    in.Load(block, x + size_t(image) * in.channels * in.height * in.width, left, first, c0, 16,
            x_plane, values);
    block.Run(pixels, [&](int i) {
      const int n = by_pixels.Quotient(i), p = i - n * in.pixels, pixel = first + p;
      const bool there = n < left && pixel < in.Area();
      offsets[i] = in.Offset(first, n, p);
      const float* source = dy + (size_t(image + n) * out_channels + m0) * in.Area() + pixel;
      CAFFE_UNROLL
      for (int m = 0; m < 16; ++m) {
        const float value = there && m0 + m < out_channels ? source[m * in.Area()] : 0.f;
        gradient[m * dy_plane + i] = RoundToTensorFloat(value);
      }
    });
  }
};

/// dweights[i,tap] += sum over the parts of parts[part][tap][i], for the pairs i of an output and
/// an input; a block for 32 of the `size` weights.
struct AddWeightParts {
  int count, size;
  const float* parts;
  float* dweights;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int slices = kThreads / 32, first = block.index() * 32;
    float* sums = block.Shared<float>(kThreads);
    block.Run(kThreads, [&](int i) {
      const int at = first + i % 32;
      float sum = 0;
      if (at < size) {
        for (int part = i / 32; part < count; part += slices) {
          sum += parts[size_t(part) * size + at];
        }
      }
      sums[i] = sum;
    });
    block.Run(32, [&](int i) {
      if (first + i >= size) return;
      float sum = 0;
      for (int s = 0; s < slices; ++s) sum += sums[s * 32 + i];
      const int pairs = size / kTaps, tap = (first + i) / pairs;
      dweights[(first + i - tap * pairs) * kTaps + tap] += sum;
    });
  }
};

// work(kernel) with the kernel of the pass whose output has so many channels.
template <bool transposed, class Work>
void WithKernel(const ConvGeometry& g, const Work& work) {
  const int outputs = transposed ? g.in_channels : g.out_channels;
  const auto of_rows = [&](auto rows) {
    typedef Correlate<transposed, decltype(rows)::value> Kernel;
    // The windows' step becomes zeros between the pixels of dy.
    const Windows windows = transposed
                                ? Windows(g.out_channels, g.out_h, g.out_w, g.in_h, g.in_w, 1,
                                          g.stride_h, 1, Kernel::PixelsFor(g.in_h * g.in_w))
                                : Windows(g.in_channels, g.in_h, g.in_w, g.out_h, g.out_w,
                                          g.stride_h, 1, 1, Kernel::PixelsFor(g.out_h * g.out_w));
    work(Kernel(windows, outputs));
  };
  if ((outputs - 1) / 16 % 2 == 0) {
    of_rows(std::integral_constant<int, 1>());
  } else {
    of_rows(std::integral_constant<int, 2>());
  }
}

// With as many images or pixels at a time as fit: the margins of small images take most.
CorrelateGradient BackwardWeightsKernel(const ConvGeometry& g) {
  const int area = g.out_h * g.out_w;
  int pixels = 256 / g.stride_h, images = std::max(1, std::min(pixels / area, g.num));
  for (;;) {
    const CorrelateGradient kernel(
        Windows(g.in_channels, g.in_h, g.in_w, g.out_h, g.out_w, g.stride_h, 1, images, pixels),
        g.num, g.out_channels);
    const bool is_least = images == 1 && (pixels <= 64 || area <= 64);
    if (kernel.Bytes() <= kMostShared || is_least) return kernel;
    (images > 1 ? images : pixels) /= 2;
  }
}

// Tensor cores compute TF32 in code that was compiled for them, by nvcc or by the driver.
bool HasTensorCores() {
#ifdef __CUDACC__
  if (!Device::Get().IsEmulated()) {
    internal::UseSelected();
    cudaFuncAttributes attributes;
    internal::Check(
        cudaFuncGetAttributes(&attributes, internal::BlockRunner<Correlate<false, 1>>::Get()),
        "properties");
    const char* setting = std::getenv("NVIDIA_TF32_OVERRIDE");
    return attributes.ptxVersion >= 80 && !(setting && std::strcmp(setting, "0") == 0);
  }
#endif
  return true;
}

class ByTensorCores : public GpuConvolution<float> {
 public:
  explicit ByTensorCores(const ConvGeometry& geometry) : GpuConvolution<float>(geometry) {}

  void Forward(const float* x, const float* weights, const float* bias, float* y) override {
    WithKernel<false>(geometry(),
                      [&](auto kernel) { kernel.Start(x, weights, bias, y, geometry().num); });
  }

  void BackwardData(const float* dy, const float* weights, float* dx) override {
    WithKernel<true>(geometry(),
                     [&](auto kernel) { kernel.Start(dy, weights, nullptr, dx, geometry().num); });
  }

  void BackwardWeights(const float* x, const float* dy, float* dweights) override {
    CorrelateGradient kernel = BackwardWeightsKernel(geometry());
    const int size = geometry().out_channels * geometry().in_channels * kTaps;
    const int count = kernel.Blocks();
    DeviceWorkspace workspace;
    kernel.in.ReadFrom(x);
    kernel.x = x;
    kernel.dy = dy;
    kernel.parts = workspace.Get<float>(size_t(count) * size);
    ForEachBlock(count * kernel.Combinations(), kThreads, kernel.Bytes(), kernel);
    ForEachBlock((size - 1) / 32 + 1, kThreads, kThreads * sizeof(float),
                 AddWeightParts{count, size, kernel.parts, dweights});
  }
};

}  // namespace

std::unique_ptr<GpuConvolution<float>> TensorCoreConvolution(const ConvGeometry& g) {
  const bool is_made_for_it =
      g.kernel_h == 3 && g.kernel_w == 3 && g.pad_h == 1 && g.pad_w == 1 && g.dilation_h == 1 &&
      g.dilation_w == 1 && g.group == 1 && g.stride_h == g.stride_w && g.stride_h <= 2 &&
      g.in_channels <= kMostChannels && g.out_channels <= kMostChannels && g.num > 0;
  if (!is_made_for_it || !HasTensorCores()) return nullptr;
  size_t bytes = BackwardWeightsKernel(g).Bytes();
  const auto take_larger = [&bytes](const auto& kernel) {
    bytes = std::max(bytes, kernel.Bytes());
  };
  WithKernel<false>(g, take_larger);
  WithKernel<true>(g, take_larger);
  if (bytes + Block::kSumBytes > Device::Get().SharedMemory()) return nullptr;
  return std::unique_ptr<GpuConvolution<float>>(new ByTensorCores(g));
}

}  // namespace caffe

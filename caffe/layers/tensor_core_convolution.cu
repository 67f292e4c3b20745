#include "caffe/layers/gpu_convolution.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "caffe/util/device_launch.hpp"
#include "caffe/util/device_matrix.hpp"
#include "caffe/util/device_workspace.hpp"
#include "caffe/util/divisor.hpp"

namespace caffe {

namespace {

typedef WarpTiles<4> ImageTiles;    // 16 channels x 32 pixels
typedef WarpTiles<18> WeightTiles;  // 16 outputs x 16 inputs, for each of the 9 taps
const int kTaps = 9, kWarps = 8, kThreads = kWarps * Block::kWarp;
const int kSumsAtOnce = 3;  // tiles of WeightTiles whose sums over the warps are in shared memory
const int kMostChannels = 64;
const size_t kShared = (48 << 10) - Block::kSumBytes;  // what needs no asking

/// The least number from `count` on that leaves `rest` when it is divided by 32: with planes so far
/// apart, the threads of a warp read different banks of the shared memory.
int PlaneSize(int count, int rest) {
  return (count - rest + 31) / 32 * 32 + rest;
}

/// Windows of 3x3 pixels over images, and the part of an image that a block keeps in shared memory.
/// `spread` - 1 zeros are between the pixels of the image, and one around it; the windows are
/// `step` apart. The pixels are those of the windows, in the order of rows.
struct Windows {
  int channels, height, width;  // of the image
  int out_h, out_w, step, spread;
  int images, pixels;  // of a part: so many images, so many pixels of each
  int rows, pitch;     // of an image in shared memory
  Divisor by_part, by_image, by_row;

  Windows(int c, int h, int w, int oh, int ow, int s, int zeros, int n, int p)
      : channels(c),
        height(h),
        width(w),
        out_h(oh),
        out_w(ow),
        step(s),
        spread(zeros),
        images(n),
        pixels(std::min(p, oh * ow)),
        // Unless parts are whole rows they begin anywhere in one.
        rows(std::min(oh - 1, pixels % ow == 0 ? pixels / ow - 1 : (pixels + ow - 2) / ow) * s + 3),
        pitch((ow - 1) * s + 3),
        by_part(images * rows * pitch),
        by_image(rows * pitch),
        by_row(pitch) {}
  CAFFE_HOST_DEVICE int Area() const { return out_h * out_w; }
  CAFFE_HOST_DEVICE int Parts() const { return (Area() - 1) / pixels + 1; }
  /// Values of a channel in shared memory.
  CAFFE_HOST_DEVICE int Size() const { return images * rows * pitch; }

  /// Where in a channel of the part that begins with pixel `first` the window of its pixel p is; 0
  /// beyond the last.
  CAFFE_HOST_DEVICE int Offset(int first, int p) const {
    const int image = p / pixels, pixel = first + p % pixels;
    if (image >= images || pixel >= Area()) return 0;
    const int row = pixel / out_w - first / out_w;
    return (image * rows + row * step) * pitch + pixel % out_w * step;
  }

  /// from[i]: where in the part's first image value i of a channel stands, behind that channel's
  /// first; negative where it is zero. `left` images are there.
  CAFFE_HOST_DEVICE void Locate(const Block& block, int left, int first, int* from) const {
    const int first_row = first / out_w * step - 1;
    block.Begin(Size(), [&](int i) {
      const int image = by_image.Quotient(i), in_image = i - image * (rows * pitch);
      const int row = by_row.Quotient(in_image);
      int h = first_row + row, w = in_image - row * pitch - 1;
      bool there = h >= 0 && w >= 0 && image < left;
      if (spread > 1) {
        there = there && h % spread == 0 && w % spread == 0;
        h /= spread;
        w /= spread;
      }
      there = there && h < height && w < width;
      from[i] = there ? (image * channels * height + h) * width + w : -1;
    });
  }
  /// Loads channels c0 .. c0 + depth - 1, a multiple of 4, of a part to `values`, each `plane`
  /// values behind the one before; x is the part's first image.
  CAFFE_HOST_DEVICE void Load(const Block& block, const float* x, const int* from, int c0,
                              int depth, int plane, float* values) const {
    const int area = height * width, size = Size();
    struct Four {
      float values[4];
    };
    block.Copy<2>(
        size * (depth / 4),
        [&](int i) {
          const int four = by_part.Quotient(i), at = from[i - four * size], c = c0 + four * 4;
          Four loaded;
          CAFFE_UNROLL
          for (int j = 0; j < 4; ++j) {
            const bool there = at >= 0 && c + j < channels;
            loaded.values[j] = there ? x[size_t(c + j) * area + at] : 0.f;
          }
          return loaded;
        },
        [&](int i, const Four& loaded) {
          const int four = by_part.Quotient(i);
          float* to = values + four * 4 * plane + (i - four * size);
          CAFFE_UNROLL
          for (int j = 0; j < 4; ++j) to[j * plane] = RoundToTensorFloat(loaded.values[j]);
        });
  }
};

/// y[n,m] = bias[m] + sum over channels and taps of weights x windows, for one part of one image
/// and one or two rows of 16 channels m. Each warp has 16 channels and 32 pixels.
struct Correlate {
  static const int kBlockThreads = kThreads, kBlocksAtOnce = 4;
  Windows in;
  int out_channels;
  int rows, warps;  // rows of 16 channels of a block, its warps
  int row_blocks;   // blocks for all rows of 16 channels
  int depth;        // channels that are in shared memory at a time: 8 or 16
  bool transposed;  // weights are channels x out_channels, turned by 180 degrees
  int plane, lead;  // of a channel's values, of a row of weights, in shared memory
  bool aligned;     // rows of weights begin at multiples of 16 bytes
  Divisor by_fours;
  const float *x, *weights, *bias;
  float* y;

  Correlate(const Windows& windows, int outputs, bool turned)
      : in(windows),
        out_channels(outputs),
        rows(RowsFor(outputs)),
        warps(rows * ((in.pixels - 1) / 32 + 1)),
        row_blocks((outputs - 1) / (16 * rows) + 1),
        depth(16),
        transposed(turned),
        plane(PlaneSize(windows.Size(), 8)),
        lead(16 * rows + 8),
        aligned(false),
        by_fours(1) {
    if (in.channels <= 8 || Bytes() > kShared) depth = 8;
    by_fours = Divisor(kTaps * (transposed ? 16 * rows : depth) / 4);
  }
  void SetWeights(const float* from) {
    weights = from;
    aligned = reinterpret_cast<uintptr_t>(from) % 16 == 0 &&
              (transposed ? out_channels : in.channels) % 4 == 0;
  }
  /// How many, and how many pixels a part has: small images leave too few blocks of eight warps.
  static int RowsFor(int outputs) { return (outputs - 1) / 16 % 2 + 1; }
  static int PixelsFor(int outputs, int area) {
    return (area > 128 ? 8 : 4) / RowsFor(outputs) * 32;
  }
  size_t Bytes() const {
    return (size_t(depth) * (plane + kTaps * lead) + warps / rows * 32 + in.Size() + 16) *
           sizeof(float);
  }

  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int parts = in.Parts(), m0 = block.index() % row_blocks * rows * 16;
    const int first = block.index() / row_blocks % parts * in.pixels;
    const int image = block.index() / row_blocks / parts;
    float* values = block.Shared<float>(depth * plane);
    float* kernel = block.Shared<float>(depth * kTaps * lead);
    int* offsets = block.Shared<int>(warps / rows * 32);
    int* from = block.Shared<int>(in.Size());
    block.Begin(warps / rows * 32, [&](int p) { offsets[p] = in.Offset(first, p); });
    in.Locate(block, 1, first, from);
    block.Wait();
    ImageTiles tiles(block);
    const float* source = x + size_t(image) * in.channels * in.height * in.width;
    for (int c0 = 0; c0 < in.channels; c0 += depth) {
      if (c0 > 0) block.Wait();  // all have read what is overwritten now
      in.Load(block, source, from, c0, depth, plane, values);
      LoadWeights(block, c0, m0, kernel);
      for (int c = 0; c < depth; c += ImageTiles::kDepth) {
        Multiply(c, values, kernel, offsets, &tiles);
      }
    }
    CAFFE_UNROLL
    for (int t = 0; t < 4; ++t) {
      tiles.ForEach(t, [&](int warp, int m, int n, float sum) {
        const int channel = m0 + warp % rows * 16 + m, p = warp / rows * 32 + t * 8 + n;
        if (channel >= out_channels || p >= in.pixels || first + p >= in.Area()) return;
        y[(size_t(image) * out_channels + channel) * in.Area() + first + p] =
            bias ? sum + bias[channel] : sum;
      });
    }
  }

  // kernel[(c 9 + tap) lead + m]. In memory the values of a row, of one m or, transposed, of one c,
  // are one after another.
  CAFFE_HOST_DEVICE void LoadWeights(const Block& block, int c0, int m0, float* kernel) const {
    struct alignas(16) Four {
      float values[4];
    };
    const int outputs = rows * 16, in_row = kTaps * (transposed ? outputs : depth);
    block.Copy<4>(
        outputs * depth * kTaps / 4,
        [&](int i) {
          const int row = by_fours.Quotient(i), at = (i - row * (in_row / 4)) * 4;
          const int c = c0 + (transposed ? row : 0), m = m0 + (transposed ? 0 : row);
          const int begin = (transposed ? c * out_channels + m : m * in.channels + c) * kTaps + at;
          // What is left of the row in memory.
          const int left = (transposed ? out_channels - m0 : in.channels - c0) * kTaps - at;
          const bool there = c < in.channels && m < out_channels;
          if (aligned && there && left >= 4) {
            return *reinterpret_cast<const Four*>(weights + begin);
          }
          Four loaded;
          CAFFE_UNROLL
          for (int j = 0; j < 4; ++j)
            loaded.values[j] = there && j < left ? weights[begin + j] : 0.f;
          return loaded;
        },
        [&](int i, const Four& loaded) {
          const int row = by_fours.Quotient(i), at = (i - row * (in_row / 4)) * 4;
          CAFFE_UNROLL
          for (int j = 0; j < 4; ++j) {
            const float value = RoundToTensorFloat(loaded.values[j]);
            const int m = (at + j) / kTaps;
            if (transposed) {
              kernel[(row * kTaps + kTaps - 1 - (at + j - m * kTaps)) * lead + m] = value;
            } else {
              kernel[(at + j) * lead + row] = value;
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
            return kernel[((c + k) * kTaps + tap) * lead + warp % rows * 16 + m];
          },
          [&](int warp, int t, int k, int n) {
            return shifted[k * plane + offsets[warp / rows * 32 + t * 8 + n]];
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
  const float *x, *dy;
  float* parts;

  CorrelateGradient(const Windows& windows, int images, int outputs)
      : in(windows), num(images), out_channels(outputs) {
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
    return (16 * size_t(x_plane + dy_plane) +
            std::max(0, kSumsAtOnce * kWarps * 128 - 16 * dy_plane) + pixels + in.Size() + 16) *
           sizeof(float);
  }

  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int c_rows = (in.channels - 1) / 16 + 1, m_rows = (out_channels - 1) / 16 + 1;
    const int c0 = block.index() % c_rows * 16, m0 = block.index() / c_rows % m_rows * 16;
    const int part = block.index() / c_rows / m_rows;
    float* values = block.Shared<float>(16 * x_plane);
    const int sums = kSumsAtOnce * kWarps * 128;
    float* gradient = block.Shared<float>(sums > 16 * dy_plane ? sums : 16 * dy_plane);
    int* offsets = block.Shared<int>(pixels);
    int* from = block.Shared<int>(in.Size());
    WeightTiles tiles(block);
    const int last = (part + 1) * units_of_block < units ? (part + 1) * units_of_block : units;
    for (int unit = part * units_of_block; unit < last; ++unit) {
      Load(block, unit, c0, m0, from, values, gradient, offsets);
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

  CAFFE_HOST_DEVICE void Load(const Block& block, int unit, int c0, int m0, int* from,
                              float* values, float* gradient, int* offsets) const {
    const int image = unit / in.Parts() * in.images, first = unit % in.Parts() * in.pixels;
    const int left = num - image < in.images ? num - image : in.images;
    in.Locate(block, left, first, from);
    block.Wait();
    in.Load(block, x + size_t(image) * in.channels * in.height * in.width, from, c0, 16, x_plane,
            values);
    block.Run(pixels, [&](int p) {
      const int n = p / in.pixels, pixel = first + p % in.pixels;
      const bool there = n < left && pixel < in.Area();
      offsets[p] = in.Offset(first, p);
      const float* source = dy + (size_t(image + n) * out_channels + m0) * in.Area() + pixel;
      CAFFE_UNROLL
      for (int m = 0; m < 16; ++m) {
        const float value = there && m0 + m < out_channels ? source[size_t(m) * in.Area()] : 0.f;
        gradient[m * dy_plane + p] = RoundToTensorFloat(value);
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
        for (int part = i / 32; part < count; part += slices)
          sum += parts[size_t(part) * size + at];
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

Correlate ForwardKernel(const ConvGeometry& g) {
  return Correlate(Windows(g.in_channels, g.in_h, g.in_w, g.out_h, g.out_w, g.stride_h, 1, 1,
                           Correlate::PixelsFor(g.out_channels, g.out_h * g.out_w)),
                   g.out_channels, false);
}

// The windows' step becomes zeros between the pixels of dy.
Correlate BackwardDataKernel(const ConvGeometry& g) {
  return Correlate(Windows(g.out_channels, g.out_h, g.out_w, g.in_h, g.in_w, 1, g.stride_h, 1,
                           Correlate::PixelsFor(g.in_channels, g.in_h * g.in_w)),
                   g.in_channels, true);
}

CorrelateGradient BackwardWeightsKernel(const ConvGeometry& g) {
  const int pixels = 256 / g.stride_h, area = g.out_h * g.out_w;
  return CorrelateGradient(Windows(g.in_channels, g.in_h, g.in_w, g.out_h, g.out_w, g.stride_h, 1,
                                   std::max(1, std::min(pixels / area, g.num)), pixels),
                           g.num, g.out_channels);
}

// Tensor cores compute TF32 in code that was compiled for them, by nvcc or by the driver.
bool HasTensorCores() {
#ifdef __CUDACC__
  if (!Device::Get().IsEmulated()) {
    internal::UseSelected();
    cudaFuncAttributes attributes;
    internal::Check(cudaFuncGetAttributes(&attributes, internal::BlockRunner<Correlate>::Get()),
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
    Correlate kernel = ForwardKernel(geometry());
    kernel.x = x;
    kernel.SetWeights(weights);
    kernel.bias = bias;
    kernel.y = y;
    Start(kernel);
  }

  void BackwardData(const float* dy, const float* weights, float* dx) override {
    Correlate kernel = BackwardDataKernel(geometry());
    kernel.x = dy;
    kernel.SetWeights(weights);
    kernel.bias = nullptr;
    kernel.y = dx;
    Start(kernel);
  }

  void BackwardWeights(const float* x, const float* dy, float* dweights) override {
    CorrelateGradient kernel = BackwardWeightsKernel(geometry());
    const int size = geometry().out_channels * geometry().in_channels * kTaps;
    const int count = kernel.Blocks();
    DeviceWorkspace workspace;
    kernel.x = x;
    kernel.dy = dy;
    kernel.parts = workspace.Get<float>(size_t(count) * size);
    ForEachBlock(count * kernel.Combinations(), kThreads, kernel.Bytes(), kernel);
    ForEachBlock((size - 1) / 32 + 1, kThreads, kThreads * sizeof(float),
                 AddWeightParts{count, size, kernel.parts, dweights});
  }

 private:
  void Start(const Correlate& kernel) const {
    ForEachBlock(geometry().num * kernel.in.Parts() * kernel.row_blocks,
                 kernel.warps * Block::kWarp, kernel.Bytes(), kernel);
  }
};

}  // namespace

std::unique_ptr<GpuConvolution<float>> TensorCoreConvolution(const ConvGeometry& g) {
  const bool is_made_for_it =
      g.kernel_h == 3 && g.kernel_w == 3 && g.pad_h == 1 && g.pad_w == 1 && g.dilation_h == 1 &&
      g.dilation_w == 1 && g.group == 1 && g.stride_h == g.stride_w && g.stride_h <= 2 &&
      g.in_channels <= kMostChannels && g.out_channels <= kMostChannels && g.num > 0;
  if (!is_made_for_it || !HasTensorCores()) return nullptr;
  const size_t bytes = std::max(
      {ForwardKernel(g).Bytes(), BackwardDataKernel(g).Bytes(), BackwardWeightsKernel(g).Bytes()});
  if (bytes + Block::kSumBytes > Device::Get().SharedMemory()) return nullptr;
  return std::unique_ptr<GpuConvolution<float>>(new ByTensorCores(g));
}

}  // namespace caffe

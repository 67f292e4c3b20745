// MetaPerturb's backward pass on a GPU, five kernels, seven where phi learns.
#include <algorithm>

#include "caffe/util/device_vectors.hpp"
#include "caffe/util/device_workspace.hpp"
#include "layers/metaperturb_gpu_means.hpp"
#include "layers/metaperturb_gpu_noise.hpp"

namespace metaperturb {

using caffe::ForEachBlock;

namespace {

/// Sums of the gradient of phi before they are added up; null where phi is not learned.
template <typename Dtype>
struct PhiParts {
  Dtype* bands = nullptr;     // warps x 54: a1, a2, kappa
  Dtype* means = nullptr;     // N x bands of an image x 18: b1, b2
  Dtype* channels = nullptr;  // C x 10: w
};
const int kBandParts = 54, kMeanParts = 18;

// With g the gradient of x (1 + a (s z - 1)): dx = g (1 + a (s z - 1)), dmu = g x a s z', and
// ds[n,c] = sum_hw g x a z. As z = softplus(mu + epsilon), z' = 1 - e^-z.
template <typename Dtype, int kWidth>
struct NoiseGradient {
  static const int kBlocksOfWarps = 4;
  GpuPass<Dtype> pass;
  const Dtype* dy;
  Dtype *dx, *dmu, *ds;
  static size_t Bytes(int threads) { return Block::SumsCount(1, threads) * sizeof(Dtype) + 16; }
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int area = pass.height * pass.width;
    const size_t first = size_t(block.index()) * area;
    Dtype* scratch = block.Shared<Dtype>(Block::SumsCount(1, block.threads()));
    const Dtype s = pass.s[pass.by_channels.Remainder(block.index())], a = pass.a;
    Dtype* sum_of_plane = ds + block.index();
    block.Sums<1>(
        area / kWidth, scratch,
        [&](int i, Dtype* own) {
          const size_t at = first + i * kWidth;
          const auto x = caffe::LoadNeighbours<kWidth>(pass.x + at);
          auto z = caffe::LoadNeighbours<kWidth>(pass.z + at);
          for (int j = 0; j < kWidth; ++j) z.at[j] = std::fabs(z.at[j]);
          const auto gradient = caffe::LoadNeighbours<kWidth>(dy + at);
          caffe::Neighbours<Dtype, kWidth> through_x, through_mu;
          for (int j = 0; j < kWidth; ++j) {
            const Dtype factor = 1 + a * (s * z.at[j] - 1), t = x.at[j] * factor;
            const Dtype g = t > pass.clip ? Dtype(0)
                            : t > 0       ? gradient.at[j]
                                          : pass.slope * gradient.at[j];
            const Dtype through_noise = g * x.at[j] * a;
            own[0] += through_noise * z.at[j];
            through_x.at[j] = g * factor;
            through_mu.at[j] = through_noise * s * -std::expm1(-z.at[j]);
          }
          caffe::StoreNeighbours(through_x, dx + at);
          caffe::StoreNeighbours(through_mu, dmu + at);
        },
        [&](int, Dtype sum) { *sum_of_plane = sum; });
  }
};

// A warp for each plane, or of planes with much work a block: `count` steps for its threads.
template <class Kernel>
void ForEachPlane(int planes, int count, const Kernel& kernel) {
  const int most = 128, warps = (count / 2 + Block::kWarp - 1) / Block::kWarp;
  const int threads = std::min(most, std::max(1, warps) * Block::kWarp);
  if (threads == Block::kWarp) {
    caffe::ForEachWarp(planes, Kernel::Bytes(threads), kernel);
  } else {
    ForEachBlock(planes, threads, Kernel::Bytes(threads), kernel);
  }
}

// Through the outer Op and its ReLU: dp = (a2 turned * dmu + b2 turned * mean_c dmu) where the ReLU
// passes, with the mean's part given.
template <typename Dtype>
struct HiddenGradient {
  static const int kBlocksOfWarps = 4;
  GpuPass<Dtype> pass;
  Bands bands;
  const Dtype *dmu, *through_mean;
  Dtype* dp;
  CAFFE_HOST_DEVICE void operator()(Block& warp) const {
    const Band band = BandOf(bands, warp);
    const Lanes<int> at_mean = ImageOf(pass, bands, band);
    Lanes<Dtype> rows[kBand + 2], z[kBand], means[kBand];
    LoadRows<kBand + 2>(bands, band, band.at, -1, dmu, rows);
    LoadRows<kBand>(bands, band, band.at, 0, pass.z, z);
    LoadRows<kBand>(bands, band, at_mean, 0, through_mean, means);
    const Kernel3x3<Dtype> a2(pass.phi + kA2);
    Window<Dtype> outer;
    Unrolled<kBand + 2>([&](int i) {
      const int r = i - 2;
      outer.Push(band, rows[i]);
      if (r < 0 || r >= band.rows) return;
      ForEachLane([&](int lane) {
        if (!band.own[lane]) return;
        const Dtype gradient = outer.TurnedStencil(a2, lane) + means[r][lane];
        dp[band.at[lane] + r * bands.width] = std::signbit(z[r][lane]) ? Dtype(0) : gradient;
      });
    });
  }
};

// The same where phi learns, and the gradients of a1 and a2.
template <typename Dtype>
struct HiddenGradientAndPhi {
  static const int kBlocksOfWarps = 2;
  GpuPass<Dtype> pass;
  Bands bands;
  const Dtype *dmu, *through_mean;
  Dtype* dp;
  Dtype* phi_parts;
  CAFFE_HOST_DEVICE void operator()(Block& warp) const {
    const Band band = BandOf(bands, warp);
    Dtype* scratch = warp.Shared<Dtype>(Block::SumsCount(18, Block::kWarp));
    HiddenRows<Dtype> hidden(pass, bands, band);
    Lanes<Dtype> rows[kBand + 2], sums[18];
    LoadRows<kBand + 2>(bands, band, band.at, -1, dmu, rows);
    Unrolled<18>([&](int k) { ForEachLane([&](int lane) { sums[k][lane] = 0; }); });
    const Kernel3x3<Dtype> a2(pass.phi + kA2);
    Window<Dtype> outer;
    Unrolled<kBand + 4>([&](int i) {
      const int r = i - 4;
      const Window<Dtype> x = hidden.x;  // its middle is row r
      hidden.Push(bands, band, i);
      if (i >= 2) outer.Push(band, rows[i - 2]);
      if (r < 0 || r >= band.rows) return;
      ForEachLane([&](int lane) {
        if (!band.own[lane]) return;
        const int row = r * bands.width;
        const Dtype gradient =
            outer.TurnedStencil(a2, lane) + through_mean[hidden.at_mean[lane] + row];
        const Dtype inner = hidden.window.At(4, lane) > 0 ? gradient : Dtype(0);
        dp[band.at[lane] + row] = inner;
        x.AddKernelGradient(inner, lane, sums);
        hidden.window.AddKernelGradient(outer.At(4, lane), lane, sums + 9);
      });
    });
    SumLanes<18>(warp, sums, scratch,
                 [&](int k, Dtype sum) { phi_parts[size_t(warp.index()) * kBandParts + k] = sum; });
  }
};

// One band of an image, through a mean over the channels and the 3x3 kernel behind it (b1 or b2):
// from the gradient N x C x H x W to through_mean = kernel turned * mean_c gradient, and, if asked
// for, the kernel's own gradient, `in` being the plane that it reads.
template <typename Dtype>
struct MeanGradient {
  typedef Tile<Dtype, kBand + 2> BandTile;
  GpuPass<Dtype> pass;
  ChannelBands of;
  const Dtype *gradient, *kernel, *in;
  Dtype *through_mean, *phi_parts;
  size_t Bytes() const {
    return 2 * BandTile::Bytes(of.bands) +
           (ChannelBands::kScratch<kBand + 2> + Block::SumsCount(9, kMeanThreads) + 8) *
               sizeof(Dtype);
  }
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const Bands& bands = of.bands;
    const BandTile mean(&block, bands);  // row r of the band is row r + 1
    Dtype* scratch = block.Shared<Dtype>(ChannelBands::kScratch<kBand + 2>);
    of.MeanOfRows<kBand + 2>(
        block, scratch,
        [&](const Band& band, Lanes<Dtype>* sums) {
          Lanes<Dtype> rows[kBand + 2];
          LoadRows<kBand + 2>(bands, band, band.at, -1, gradient, rows);
          Unrolled<kBand + 2>(
              [&](int i) { ForEachLane([&](int lane) { sums[i][lane] += rows[i][lane]; }); });
        },
        [&](int r, int q, Dtype value) { mean.At(r, q) = value; });
    const Kernel3x3<Dtype> turned(kernel);
    const Band band = of.First(block);
    const size_t at = size_t(of.Image(block)) * bands.height * bands.width;
    of.ForEachPixel(block, band, [&](int r, int q, int pixel) {
      through_mean[at + pixel] = mean.TurnedStencil(turned, r + 1, q);
    });
    if (!phi_parts) return;
    const BandTile input(&block, bands);
    block.Run((kBand + 2) * bands.pitch, [&](int i) {
      const int r = bands.by_pitch.Quotient(i), q = i - r * bands.pitch;
      const int h = band.h0 + r - 1, w = band.w0 + (bands.wide ? q - kBeside : q);
      const bool inside = h >= 0 && h < bands.height && w >= 0 && w < bands.width;
      input.At(r, q) = inside ? in[at + h * bands.width + w] : Dtype(0);
    });
    Dtype* scratch_of_sums = block.Shared<Dtype>(Block::SumsCount(9, block.threads()));
    Dtype* sums = phi_parts + size_t(block.index()) * kMeanParts;
    of.SumPixels<9>(
        block, band, scratch_of_sums,
        [&](int r, int q, int, Dtype* own) {
          const Dtype through = of.channels * mean.At(r + 1, q);
          for (int t = 0; t < 9; ++t) own[t] += through * input.At(r + t / 3, q - 1 + t % 3);
        },
        [&](int t, Dtype sum) { sums[t] = sum; });
  }
};

// Block c: from ds to df[n,c,k] / (H W) (TEST: 0), what reaches kappa_k * x[n,c] where its ReLU
// passes, and, if asked for, w's gradient.
template <typename Dtype>
struct ScaleGradient {
  GpuPass<Dtype> pass;
  const Dtype* ds;
  Dtype* df;
  PhiParts<Dtype> parts;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int c = block.index(), num = pass.num, channels = pass.channels;
    const int area = pass.height * pass.width;
    const double s = pass.s[c];
    const double dt = block.Sum<double>(num, [&](int n) {
      return double(ds[size_t(n) * channels + c]);
    }) * s * (1 - s);
    const Dtype* feature = pass.features + c * 8;
    const Dtype* w = pass.phi + kW;
    if (parts.channels) {
      block.Run(10, [&](int j) {
        parts.channels[c * 10 + j] = dt * (j < 8 ? double(feature[j]) : pass.size_features[j - 8]);
      });
    }
    block.Run(num, [&](int n) {
      for (int k = 0; k < 4; ++k) {
        const double through_mean = dt * w[k] / num / area;
        const double through_var = dt * w[4 + k] * 2 / (num - 1) / area;
        const size_t at = (size_t(n) * channels + c) * 4 + k;
        df[at] = pass.train ? through_mean + through_var * (pass.f[at] - feature[k]) : 0;
      }
    });
  }
};

// What a neighbour gives through element t of a plane's kappas turned around, for each combination
// of their four gates, bit k of which says whether the ReLU of kappa_k * x passes there.
template <typename Dtype>
struct KappaTable {
  static const int kCount = 9 * 16;
  Dtype* values;
  CAFFE_HOST_DEVICE KappaTable(Block* warp, const Bands& bands)
      : values(warp->Shared<Dtype>(bands.together * kCount)) {}
  CAFFE_HOST_DEVICE const Dtype* Of(int slot) const { return values + slot * kCount; }
  CAFFE_HOST_DEVICE void Fill(const GpuPass<Dtype>& pass, const Block& warp, const Bands& bands,
                              const Band& band, const Dtype* df) const {
    warp.Run(bands.together * 9, [&](int i) {
      const int slot = i / 9, t = i - slot * 9, plane = band.first + slot;
      if (plane >= bands.planes) return;
      Dtype sums[16];
      sums[0] = 0;
      for (int k = 0; k < 4; ++k) {
        const Dtype of_k = df[size_t(plane) * 4 + k] * pass.phi[kKappa + 9 * k + 8 - t];
        for (int gates = 0; gates < 1 << k; ++gates) sums[gates + (1 << k)] = sums[gates] + of_k;
      }
      for (int gates = 0; gates < 16; ++gates) values[i * 16 + gates] = sums[gates];
    });
  }
};

// Adds to dx what comes through the inner Op and through the scale's statistics. (In TEST they do
// not depend on x: df is 0.)
template <typename Dtype>
struct InputGradient {
  static const int kBlocksOfWarps = 3;
  GpuPass<Dtype> pass;
  Bands bands;
  const Dtype *dp, *through_mean, *df;
  Dtype* dx;
  static size_t Bytes(const Bands& bands) {
    return bands.together * KappaTable<Dtype>::kCount * sizeof(Dtype) + 16;
  }
  CAFFE_HOST_DEVICE void operator()(Block& warp) const {
    const Band band = BandOf(bands, warp);
    const KappaTable<Dtype> table(&warp, bands);
    const Lanes<int> at_mean = ImageOf(pass, bands, band);
    Lanes<Dtype> rows[kBand + 2], means[kBand], given[kBand];
    Lanes<int> gates[kBand + 2];
    LoadRows<kBand + 2>(bands, band, band.at, -1, dp, rows);
    LoadRows<kBand>(bands, band, at_mean, 0, through_mean, means);
    LoadRows<kBand>(bands, band, band.at, 0, dx, given);
    if (pass.train) {
      LoadRows<kBand + 2>(bands, band, band.at, -1, pass.gates, gates);
    } else {
      Unrolled<kBand + 2>([&](int i) { ForEachLane([&](int lane) { gates[i][lane] = 0; }); });
    }
    table.Fill(pass, warp, bands, band, df);
    const Kernel3x3<Dtype> a1(pass.phi + kA1);
    Window<Dtype> inner;
    Window<int> passes;
    Unrolled<kBand + 2>([&](int i) {
      const int r = i - 2;
      inner.Push(band, rows[i]);
      passes.Push(band, gates[i]);
      if (r < 0 || r >= band.rows) return;
      ForEachLane([&](int lane) {
        if (!band.own[lane]) return;
        Dtype sum = inner.TurnedStencil(a1, lane) + means[r][lane] + given[r][lane];
        const Dtype* of_plane = table.Of(band.plane[lane] - band.first);
        for (int t = 0; t < 9; ++t) sum += of_plane[t * 16 + passes.At(t, lane)];
        dx[band.at[lane] + r * bands.width] = sum;
      });
    });
  }
};

// The gradients of the kappas: of each the sum of df where its ReLU passes times what is around x.
template <typename Dtype>
struct KappaGradient {
  static const int kBlocksOfWarps = 3;
  GpuPass<Dtype> pass;
  Bands bands;
  const Dtype* df;
  Dtype* phi_parts;
  CAFFE_HOST_DEVICE void operator()(Block& warp) const {
    const Band band = BandOf(bands, warp);
    Dtype* scratch = warp.Shared<Dtype>(Block::SumsCount(18, Block::kWarp));
    Lanes<Dtype> rows[kBand + 2];
    Lanes<int> gates[kBand];
    LoadRows<kBand + 2>(bands, band, band.at, -1, pass.x, rows);
    LoadRows<kBand>(bands, band, band.at, 0, pass.gates, gates);
    // Two kernels at a time: registers for all four leave room for too few threads.
    for (int pair = 0; pair < 2; ++pair) {
      Lanes<Dtype> sums[18], first, second;
      Unrolled<18>([&](int k) { ForEachLane([&](int lane) { sums[k][lane] = 0; }); });
      ForEachLane([&](int lane) {
        const Dtype* of_plane = df + size_t(band.inside[lane] ? band.plane[lane] : 0) * 4;
        first[lane] = of_plane[2 * pair];
        second[lane] = of_plane[2 * pair + 1];
      });
      Window<Dtype> x;
      Unrolled<kBand + 2>([&](int i) {
        const int r = i - 2;
        x.Push(band, rows[i]);
        if (r < 0 || r >= band.rows) return;
        ForEachLane([&](int lane) {
          const int passes = band.own[lane] ? gates[r][lane] >> (2 * pair) : 0;
          x.AddKernelGradient(passes & 1 ? first[lane] : Dtype(0), lane, sums);
          x.AddKernelGradient(passes & 2 ? second[lane] : Dtype(0), lane, sums + 9);
        });
      });
      Dtype* out = phi_parts + size_t(warp.index()) * kBandParts + 18 + 18 * pair;
      SumLanes<18>(warp, sums, scratch, [&](int k, Dtype sum) { out[k] = sum; });
    }
  }
};

// Block j adds up the parts of phi's gradient j.
template <typename Dtype>
struct AddPhiParts {
  int bands, channels, mean_parts;
  bool train;
  PhiParts<Dtype> parts;
  Dtype* phi_diff;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int j = block.index();
    const Dtype* part;
    int count, step;
    if (j >= kW) {
      part = parts.channels + j - kW;
      count = channels, step = 10;
    } else if ((j >= kB1 && j < kA2) || (j >= kB2 && j < kKappa)) {
      part = parts.means + (j < kA2 ? j - kB1 : j - kB2 + 9);
      count = mean_parts, step = kMeanParts;
    } else {
      part = parts.bands + (j < kB1 ? j : j < kB2 ? j - kA2 + 9 : j - kKappa + 18);
      count = bands, step = kBandParts;
    }
    if (j >= kKappa && j < kW && !train) return;  // the running statistics do not depend on kappa
    const double sum =
        block.Sum<double>(count, [&](int i) { return double(part[size_t(i) * step]); });
    block.Run(1, [&](int) { phi_diff[j] += sum; });
  }
};

}  // namespace

template <typename Dtype>
void GpuBackward(const GpuPass<Dtype>& pass, const Dtype* dy, Dtype* dx, Dtype* phi_diff) {
  const int area = pass.height * pass.width;
  const int num = pass.num, channels = pass.channels, planes = num * channels;
  const Bands bands(planes, pass.height, pass.width);
  const ChannelBands of(num, channels, pass.height, pass.width);
  caffe::DeviceWorkspace work;
  Dtype* dmu = work.Get<Dtype>(size_t(planes) * area);
  Dtype* dp = work.Get<Dtype>(size_t(planes) * area);
  Dtype* through_mean = work.Get<Dtype>(size_t(num) * area);
  Dtype* ds = work.Get<Dtype>(planes);
  Dtype* df = work.Get<Dtype>(size_t(planes) * 4);
  PhiParts<Dtype> phi;
  if (phi_diff) {
    phi.bands = work.Get<Dtype>(size_t(bands.warps) * kBandParts);
    phi.means = work.Get<Dtype>(size_t(of.blocks()) * kMeanParts);
    phi.channels = work.Get<Dtype>(size_t(channels) * 10);
  }
  const MeanGradient<Dtype> outer{
      pass, of, dmu, pass.phi + kB2, pass.hidden, through_mean, phi_diff ? phi.means + 9 : nullptr};
  const MeanGradient<Dtype> inner{pass, of, dp, pass.phi + kB1, pass.mean, through_mean, phi.means};
  const std::initializer_list<const void*> arrays = {pass.x, pass.z, dy, dx, dmu};
  if (caffe::FourAtOnce(area, arrays)) {
    ForEachPlane(planes, area / 4, NoiseGradient<Dtype, 4>{pass, dy, dx, dmu, ds});
  } else {
    ForEachPlane(planes, area, NoiseGradient<Dtype, 1>{pass, dy, dx, dmu, ds});
  }
  ForEachBlock(of.blocks() + channels, kMeanThreads, outer.Bytes(),
               caffe::Beside<MeanGradient<Dtype>, ScaleGradient<Dtype>>{
                   outer, of.blocks(), ScaleGradient<Dtype>{pass, ds, df, phi}});
  const size_t sums_bytes = Block::SumsCount(18, Block::kWarp) * sizeof(Dtype);
  if (phi_diff) {
    caffe::ForEachWarp(bands.warps, sums_bytes,
                       HiddenGradientAndPhi<Dtype>{pass, bands, dmu, through_mean, dp, phi.bands});
  } else {
    caffe::ForEachWarp(bands.warps, 0, HiddenGradient<Dtype>{pass, bands, dmu, through_mean, dp});
  }
  ForEachBlock(of.blocks(), kMeanThreads, inner.Bytes(), inner);
  caffe::ForEachWarp(bands.warps, InputGradient<Dtype>::Bytes(bands),
                     InputGradient<Dtype>{pass, bands, dp, through_mean, df, dx});
  if (!phi_diff) return;
  if (pass.train) {
    caffe::ForEachWarp(bands.warps, sums_bytes, KappaGradient<Dtype>{pass, bands, df, phi.bands});
  }
  ForEachBlock(kPhiSize, 256, 0,
               AddPhiParts<Dtype>{bands.warps, channels, of.blocks(), pass.train, phi, phi_diff});
}

template void GpuBackward(const GpuPass<float>&, const float*, float*, float*);
template void GpuBackward(const GpuPass<double>&, const double*, double*, double*);

}  // namespace metaperturb

// MetaPerturb's backward pass on a GPU where phi learns, seven kernels, or an image is too large
// for metaperturb_gpu_image_backward.cu, five.
#include <algorithm>

#include "caffe/util/device_vectors.hpp"
#include "caffe/util/device_workspace.hpp"
#include "layers/metaperturb_gpu_image.hpp"
#include "layers/metaperturb_gpu_kappa.hpp"
#include "layers/metaperturb_gpu_means.hpp"
#include "layers/metaperturb_gpu_noise.hpp"
#include "layers/metaperturb_gpu_phi.hpp"

namespace metaperturb {

using caffe::ForEachBlock;

namespace {

// ThroughNoise of kWidth values at a time: dx, dmu, and ds[n,c], the sum over a plane.
template <typename Dtype, int kWidth>
struct NoiseGradient {
  GpuPass<Dtype> pass;
  const Dtype* dy;
  Dtype *dx, *dmu, *ds;
  /// A plane per block.
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int steps = pass.height * pass.width / kWidth, plane = block.index();
    Dtype* scratch = block.Shared<Dtype>(Block::SumsCount(1, block.threads()));
    const Dtype s = pass.s[pass.by_channels.Remainder(plane)];
    block.Sums<1>(
        steps, scratch, [&](int i, Dtype* own) { own[0] += Step(plane * steps + i, s); },
        [&](int, Dtype sum) { ds[plane] = sum; });
  }
  /// The terms of ds of the `step`-th kWidth values.
  CAFFE_HOST_DEVICE Dtype Step(int step, Dtype s) const {
    const size_t at = size_t(step) * kWidth;
    const auto x = caffe::LoadNeighbours<kWidth>(pass.x + at);
    const auto z = caffe::LoadNeighbours<kWidth>(pass.z + at);
    const auto gradient = caffe::LoadNeighbours<kWidth>(dy + at);
    caffe::Neighbours<Dtype, kWidth> through_x, through_mu;
    Dtype sum = 0;
    for (int j = 0; j < kWidth; ++j) {
      const ThroughNoise<Dtype> through(pass, s, x.at[j], z.at[j], gradient.at[j]);
      sum += through.to_s;
      through_x.at[j] = through.to_x;
      through_mu.at[j] = through.to_mu;
    }
    caffe::StoreNeighbours(through_x, dx + at);
    caffe::StoreNeighbours(through_mu, dmu + at);
    return sum;
  }
};

// The same for planes of few steps, several to a warp: bands of planes of 1 x steps.
template <typename Dtype, int kWidth>
struct NoiseGradientOfBands {
  static const int kBlocksOfWarps = 4;
  NoiseGradient<Dtype, kWidth> of;
  Bands bands;
  CAFFE_HOST_DEVICE void operator()(Block& warp) const {
    const Band band = BandOf(bands, warp);
    Lanes<Dtype> sum;
    ForEachLane([&](int lane) {
      sum[lane] = 0;
      if (!band.own[lane]) return;
      const Dtype s = of.pass.s[of.pass.by_channels.Remainder(band.plane[lane])];
      sum[lane] = of.Step(band.at[lane], s);
    });
    SumPlanes<1>(bands, band, &sum, [&](int plane, int, Dtype total) { of.ds[plane] = total; });
  }
};

template <typename Dtype, int kWidth>
void StartNoiseGradient(const GpuPass<Dtype>& pass, const NoiseGradient<Dtype, kWidth>& kernel) {
  const int planes = pass.num * pass.channels, steps = pass.height * pass.width / kWidth;
  if (steps <= Block::kWarp) {
    const Bands bands(planes, 1, steps);
    caffe::ForEachWarp(bands.warps, 0, NoiseGradientOfBands<Dtype, kWidth>{kernel, bands});
    return;
  }
  const int most = 128, warps = (steps / 2 + Block::kWarp - 1) / Block::kWarp;
  const int threads = std::min(most, warps * Block::kWarp);
  ForEachBlock(planes, threads, Block::SumsCount(1, threads) * sizeof(Dtype) + 16, kernel);
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
    GoDown(
        band, [&](int i) { outer.Push(band, rows[i]); },
        [&](int r, int lane) {
          if (!band.own[lane]) return;
          const Dtype gradient = outer.TurnedStencil(a2, lane) + means[r][lane];
          dp[band.at[lane] + r * bands.width] = std::signbit(z[r][lane]) ? Dtype(0) : gradient;
        });
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
           (ChannelBands::ScratchCount(kBand + 2) + Block::SumsCount(9, kMeanThreads) + 8) *
               sizeof(Dtype);
  }
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const Bands& bands = of.bands;
    const BandTile mean(&block, bands);  // row r of the band is row r + 1
    Dtype* scratch = block.Shared<Dtype>(ChannelBands::ScratchCount(kBand + 2));
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
      through_mean[at + pixel] = TurnedStencilAt(mean, turned, r + 1, q);
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
    return KappaTable<Dtype>::Count(bands) * sizeof(Dtype) + 16;
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
      SetZero<kBand + 2>(gates);
    }
    table.Fill(warp, bands, band, pass.phi,
               [&](int slot, int k) { return df[size_t(band.first + slot) * 4 + k]; });
    const Kernel3x3<Dtype> a1(pass.phi + kA1);
    Window<Dtype> inner;
    Window<int> passes;
    GoDown(
        band,
        [&](int i) {
          inner.Push(band, rows[i]);
          passes.Push(band, gates[i]);
        },
        [&](int r, int lane) {
          if (!band.own[lane]) return;
          const int slot = band.plane[lane] - band.first;
          Dtype sum = inner.TurnedStencil(a1, lane) + means[r][lane] + given[r][lane];
          for (int t = 0; t < 9; ++t) sum += table.At(slot, t, passes.At(t, lane));
          dx[band.at[lane] + r * bands.width] = sum;
        });
  }
};

}  // namespace

template <typename Dtype>
void GpuBackward(const GpuPass<Dtype>& pass, const Dtype* dy, Dtype* dx, Dtype* phi_diff) {
  if (!phi_diff && GpuImageBackward(pass, dy, dx)) return;
  const int area = pass.height * pass.width;
  const int num = pass.num, channels = pass.channels, planes = num * channels;
  const Bands bands(planes, pass.height, pass.width);
  const ChannelBands of(num, channels, pass.height, pass.width);
  caffe::DeviceWorkspace work;
  const bool want_dx = dx != nullptr;
  if (!want_dx) dx = work.Get<Dtype>(size_t(planes) * area);
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
    StartNoiseGradient(pass, NoiseGradient<Dtype, 4>{pass, dy, dx, dmu, ds});
  } else {
    StartNoiseGradient(pass, NoiseGradient<Dtype, 1>{pass, dy, dx, dmu, ds});
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
  if (want_dx) {
    caffe::ForEachWarp(bands.warps, InputGradient<Dtype>::Bytes(bands),
                       InputGradient<Dtype>{pass, bands, dp, through_mean, df, dx});
  }
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

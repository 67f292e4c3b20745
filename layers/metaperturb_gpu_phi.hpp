#ifndef METAPERTURB_LAYERS_METAPERTURB_GPU_PHI_HPP_
#define METAPERTURB_LAYERS_METAPERTURB_GPU_PHI_HPP_

// The kernels of MetaPerturb's backward pass that only a phi that learns needs; for
// metaperturb_gpu_backward.cu.

#include "layers/metaperturb_gpu_bands.hpp"
#include "layers/metaperturb_gpu_noise.hpp"

namespace metaperturb {

namespace {

/// Sums of the gradient of phi before they are added up; null where phi is not learned.
template <typename Dtype>
struct PhiParts {
  Dtype* bands = nullptr;     // 54 x warps: a1, a2, kappa
  Dtype* means = nullptr;     // N x bands of an image x 18: b1, b2
  Dtype* channels = nullptr;  // C x 10: w
};
const int kBandParts = 54, kMeanParts = 18;

// HiddenGradient (metaperturb_gpu_backward.cu), and the gradients of a1 and a2.
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
    Lanes<Dtype> rows[kBand + 2], means[kBand], sums[18];
    LoadRows<kBand + 2>(bands, band, band.at, -1, dmu, rows);
    LoadRows<kBand>(bands, band, hidden.at_mean, 0, through_mean, means);
    SetZero<18>(sums);
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
        const Dtype gradient = outer.TurnedStencil(a2, lane) + means[r][lane];
        const Dtype inner = hidden.window.At(4, lane) > 0 ? gradient : Dtype(0);
        dp[band.at[lane] + r * bands.width] = inner;
        x.AddKernelGradient(inner, lane, sums);
        hidden.window.AddKernelGradient(outer.At(4, lane), lane, sums + 9);
      });
    });
    SumLanes<18>(warp, sums, scratch, [&](int k, Dtype sum) {
      phi_parts[size_t(k) * bands.warps + warp.index()] = sum;
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
      SetZero<18>(sums);
      ForEachLane([&](int lane) {
        const Dtype* of_plane = df + size_t(band.inside[lane] ? band.plane[lane] : 0) * 4;
        first[lane] = of_plane[2 * pair];
        second[lane] = of_plane[2 * pair + 1];
      });
      Window<Dtype> x;
      GoDown(
          band, [&](int i) { x.Push(band, rows[i]); },
          [&](int r, int lane) {
            const int passes = band.own[lane] ? gates[r][lane] >> (2 * pair) : 0;
            x.AddKernelGradient(passes & 1 ? first[lane] : Dtype(0), lane, sums);
            x.AddKernelGradient(passes & 2 ? second[lane] : Dtype(0), lane, sums + 9);
          });
      Dtype* out = phi_parts + warp.index();
      SumLanes<18>(warp, sums, scratch,
                   [&](int k, Dtype sum) { out[size_t(18 + 18 * pair + k) * bands.warps] = sum; });
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
      part = parts.bands + size_t(j < kB1 ? j : j < kB2 ? j - kA2 + 9 : j - kKappa + 18) * bands;
      count = bands, step = 1;
    }
    if (j >= kKappa && j < kW && !train) return;  // the running statistics do not depend on kappa
    const double sum =
        block.Sum<double>(count, [&](int i) { return double(part[size_t(i) * step]); });
    block.Run(1, [&](int) { phi_diff[j] += sum; });
  }
};

}  // namespace

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_METAPERTURB_GPU_PHI_HPP_

// MetaPerturb's forward pass on a GPU, three kernels: one goes through x for its mean over the
// channels and the mean of the hidden values, and beside that for the statistics f (of images that
// fit, that of metaperturb_gpu_image_forward.cu); one forms s; one reads x again and writes y.
#include <algorithm>
#include <cmath>

#include "caffe/util/device_workspace.hpp"
#include "layers/metaperturb_gpu_image.hpp"
#include "layers/metaperturb_gpu_means.hpp"
#include "layers/metaperturb_gpu_noise.hpp"

namespace metaperturb {

using caffe::ForEachBlock;

namespace {

// parts[n,c,band,k] = the band's sum_hw ReLU(kappa_k * x[n,c]), and gates: bit k says where it is
// not 0.
template <typename Dtype>
struct Statistics {
  static const int kBlocksOfWarps = 3;
  GpuPass<Dtype> pass;
  Bands bands;
  Dtype* parts;
  CAFFE_HOST_DEVICE void operator()(Block& warp) const {
    const Band band = BandOf(bands, warp);
    Lanes<Dtype> rows[kBand + 2], sums[4];
    LoadRows<kBand + 2>(bands, band, band.at, -1, pass.x, rows);
    const Dtype* phi = pass.phi + kKappa;
    const Kernel3x3<Dtype> kappa[4] = {Kernel3x3<Dtype>(phi), Kernel3x3<Dtype>(phi + 9),
                                       Kernel3x3<Dtype>(phi + 18), Kernel3x3<Dtype>(phi + 27)};
    SetZero<4>(sums);
    Window<Dtype> x;
    GoDown(
        band, [&](int i) { x.Push(band, rows[i]); },
        [&](int r, int lane) {
          int passes = 0;
          for (int k = 0; k < 4; ++k) {
            const Dtype v = x.Stencil(kappa[k], lane);
            if (v > 0) passes |= 1 << k;
            sums[k][lane] += Rectified(v);
          }
          if (band.own[lane]) pass.gates[band.at[lane] + r * bands.width] = passes;
        });
    SumPlanes<4>(bands, band, sums, [&](int plane, int k, Dtype sum) {
      parts[(size_t(plane) * bands.per_plane + band.index) * 4 + k] = sum;
    });
  }
};

// Block c: s[c], and what it was formed from.
template <typename Dtype>
struct Scale {
  GpuPass<Dtype> pass;
  const Dtype* parts;  // N x C x per_plane x 4: f is their sum / (H W); null: f is there
  int per_plane;
  double old_weight;
  Dtype *running_mean, *running_var;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int c = block.index(), num = pass.num;
    Dtype* feature = pass.features + c * 8;
    double* scratch = block.Shared<double>(Block::SumsCount(4, block.threads()));
    double* mean = block.Shared<double>(4);
    if (pass.train) {
      block.Sums<4>(
          num, scratch,
          [&](int n, double* own) {
            const size_t plane = size_t(n) * pass.channels + c;
            if (parts) AddParts(plane, pass.f + plane * 4);
            for (int k = 0; k < 4; ++k) own[k] += double(pass.f[plane * 4 + k]);
          },
          [&](int k, double sum) { mean[k] = sum / num; });
      block.Sums<4>(
          num, scratch,
          [&](int n, double* own) {
            const Dtype* f = pass.f + (size_t(n) * pass.channels + c) * 4;
            for (int k = 0; k < 4; ++k) own[k] += (f[k] - mean[k]) * (f[k] - mean[k]);
          },
          [&](int k, double sum) {
            const double variance = sum / (num - 1);
            Dtype* mean_kept = running_mean + c * 4 + k;
            Dtype* var_kept = running_var + c * 4 + k;
            feature[k] = mean[k];
            feature[4 + k] = variance;
            *mean_kept = old_weight * *mean_kept + (1 - old_weight) * mean[k];
            *var_kept = old_weight * *var_kept + (1 - old_weight) * variance * num / (num - 1);
          });
    } else {
      block.Run(4, [&](int k) {
        feature[k] = running_mean[c * 4 + k];
        feature[4 + k] = running_var[c * 4 + k];
      });
    }
    block.Run(1, [&](int) {
      const Dtype* w = pass.phi + kW;
      double sum = w[8] * pass.size_features[0] + w[9] * pass.size_features[1];
      for (int j = 0; j < 8; ++j) sum += double(w[j]) * double(feature[j]);
      pass.s[c] = 1 / (1 + std::exp(-sum));
    });
  }
  static size_t Bytes(int threads) { return (Block::SumsCount(4, threads) + 4) * sizeof(double); }

 private:
  CAFFE_HOST_DEVICE void AddParts(size_t plane, Dtype* f) const {
    const Dtype* part = parts + plane * per_plane * 4;
    Dtype sums[4] = {};
    for (int p = 0; p < per_plane; ++p) {
      for (int k = 0; k < 4; ++k) sums[k] += part[p * 4 + k];
    }
    for (int k = 0; k < 4; ++k) f[k] = sums[k] / (pass.height * pass.width);
  }
};

// One band of an image: what goes through means over the channels. The pixels beside the band are
// computed here, too, as far as its stencils reach.
template <typename Dtype>
struct MeanPaths {
  typedef Tile<Dtype, kBand + 4> OuterTile;
  typedef Tile<Dtype, kBand + 2> InnerTile;
  GpuPass<Dtype> pass;
  ChannelBands of;
  size_t Bytes() const {
    return OuterTile::Bytes(of.bands) + 2 * InnerTile::Bytes(of.bands) +
           ChannelBands::ScratchCount(kBand + 4) * sizeof(Dtype);
  }
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const Bands& bands = of.bands;
    // Row r of the band is row r + 2 of `mean`, r + 1 of the others.
    const OuterTile mean(&block, bands);
    const InnerTile mean_b1(&block, bands), hidden(&block, bands);
    Dtype* scratch = block.Shared<Dtype>(ChannelBands::ScratchCount(kBand + 4));
    of.MeanOfRows<kBand + 4>(
        block, scratch,
        [&](const Band& band, Lanes<Dtype>* sums) {
          Lanes<Dtype> rows[kBand + 4];
          LoadRows<kBand + 4>(bands, band, band.at, -2, pass.x, rows);
          Unrolled<kBand + 4>(
              [&](int i) { ForEachLane([&](int lane) { sums[i][lane] += rows[i][lane]; }); });
        },
        [&](int r, int q, Dtype value) { mean.At(r, q) = value; });
    const Kernel3x3<Dtype> b1(pass.phi + kB1);
    block.Run((kBand + 2) * bands.pitch, [&](int i) {
      const int r = bands.by_pitch.Quotient(i), q = i - r * bands.pitch;
      mean_b1.At(r, q) = StencilAt(mean, b1, r + 1, q);
    });
    const Kernel3x3<Dtype> a1(pass.phi + kA1);
    of.MeanOfRows<kBand + 2>(
        block, scratch,
        [&](const Band& band, Lanes<Dtype>* sums) {
          Lanes<Dtype> rows[kBand + 4];
          LoadRows<kBand + 4>(bands, band, band.at, -2, pass.x, rows);
          Window<Dtype> x;
          Unrolled<kBand + 4>([&](int i) {
            const int r = i - 2;  // of the tiles of hidden values
            x.Push(band, rows[i]);
            if (r < 0 || band.h0 + r < 1 || band.h0 + r > bands.height) return;
            ForEachLane([&](int lane) {
              if (!band.inside[lane]) return;
              const int q = bands.wide ? lane : band.w[lane];
              const Dtype p = mean_b1.At(r, q) + x.Stencil(a1, lane);
              sums[r][lane] += Rectified(p);
            });
          });
        },
        [&](int r, int q, Dtype value) { hidden.At(r, q) = value; });
    const Kernel3x3<Dtype> b2(pass.phi + kB2);
    const size_t at = size_t(of.Image(block)) * bands.height * bands.width;
    of.ForEachPixel(block, of.First(block), [&](int r, int q, int pixel) {
      pass.mean[at + pixel] = mean.At(r + 2, q);
      pass.mean_b1[at + pixel] = mean_b1.At(r + 1, q);
      pass.hidden[at + pixel] = hidden.At(r + 1, q);
      pass.hidden_b2[at + pixel] = StencilAt(hidden, b2, r + 1, q);
    });
  }
};

// y = r(min(x (1 + a (s z - 1)), clip)), z with the sign of the hidden value's ReLU, and of z and
// z^2 the sums over each band.
template <typename Dtype, int kSide>
struct Perturb {
  static const int kBlocksOfWarps = 3;
  GpuPass<Dtype> pass;
  Bands all;
  Dtype* y;
  static size_t Bytes() {
    return (BandNoise<Dtype>::kCount + Block::SumsCount(2, Block::kWarp)) * sizeof(Dtype) + 16;
  }
  CAFFE_HOST_DEVICE void operator()(Block& warp) const {
    const Bands bands = all.Known<kSide>();
    const Band band = BandOf(bands, warp);
    const BandNoise<Dtype> noise(&warp, bands, band);
    Dtype* scratch = warp.Shared<Dtype>(Block::SumsCount(2, Block::kWarp));
    HiddenRows<Dtype> hidden(pass, bands, band);
    Lanes<Dtype> hidden_b2[kBand], s, sums[2];
    LoadRows<kBand>(bands, band, hidden.at_mean, 0, pass.hidden_b2, hidden_b2);
    ForEachLane([&](int lane) {
      const int plane = band.inside[lane] ? band.plane[lane] : 0;
      s[lane] = pass.s[pass.by_channels.Remainder(plane)];
      sums[0][lane] = sums[1][lane] = 0;
    });
    noise.Fill(pass, bands, band);
    warp.Wait();
    const Kernel3x3<Dtype> a2(pass.phi + kA2);
    Unrolled<kBand + 4>([&](int i) {
      const int r = i - 4;
      hidden.Push(bands, band, i);
      if (r < 0 || r >= band.rows) return;
      ForEachLane([&](int lane) {
        if (!band.own[lane]) return;
        const Dtype mu = hidden.window.Stencil(a2, lane) + hidden_b2[r][lane];
        const Dtype z = Softplus(mu + noise.At(r, lane));
        const Dtype t = hidden.rows[i - 2][lane] * (1 + pass.a * (s[lane] * z - 1));
        const int at = band.at[lane] + r * bands.width;
        const Dtype limited = t > pass.clip ? pass.clip : t;
        pass.z[at] = std::copysign(z, hidden.window.At(4, lane) > 0 ? Dtype(1) : Dtype(-1));
        y[at] = limited > 0 ? limited : pass.slope * limited;
        sums[0][lane] += z;
        sums[1][lane] += z * z;
      });
    });
    SumLanes<2>(warp, sums, scratch,
                [&](int k, Dtype sum) { pass.spread[size_t(warp.index()) * 2 + k] = sum; });
  }
};

// Bounded, as either half has fewer threads for the other's registers.
template <typename Dtype>
struct MeansAndStatistics : caffe::Beside<MeanPaths<Dtype>, caffe::InWarps<Statistics<Dtype>>> {
  static const int kBlockThreads = kMeanThreads, kBlocksAtOnce = 3;
};

// What is between x and s where an image is too large for metaperturb_gpu_image_forward.cu; in
// TRAIN the sums that f is added up from.
template <typename Dtype>
Dtype* StartMeans(const GpuPass<Dtype>& pass, const Bands& bands, caffe::DeviceWorkspace* work) {
  const ChannelBands of(pass.num, pass.channels, pass.height, pass.width);
  const MeanPaths<Dtype> means{pass, of};
  if (!pass.train) {
    ForEachBlock(of.blocks(), kMeanThreads, means.Bytes(), means);
    return nullptr;
  }
  Dtype* parts = work->Get<Dtype>(size_t(bands.planes) * bands.per_plane * 4);
  const Statistics<Dtype> statistics{pass, bands, parts};
  const int warps = kMeanThreads / Block::kWarp;
  ForEachBlock(of.blocks() + (bands.warps + warps - 1) / warps, kMeanThreads, means.Bytes(),
               MeansAndStatistics<Dtype>{{means, of.blocks(), {statistics, bands.warps, 0}}});
  return parts;
}

}  // namespace

template <typename Dtype>
int GpuPass<Dtype>::CountBands() const {
  return Bands(num * channels, height, width).warps;
}

template <typename Dtype>
void GpuForward(const GpuPass<Dtype>& pass, double old_weight, Dtype* running_mean,
                Dtype* running_var, Dtype* y) {
  const Bands bands(pass.num * pass.channels, pass.height, pass.width);
  caffe::DeviceWorkspace work;
  const Dtype* parts = GpuImageForward(pass) ? nullptr : StartMeans(pass, bands, &work);
  const int scale_threads =
      std::min(256, (pass.num + Block::kWarp - 1) / Block::kWarp * Block::kWarp);
  ForEachBlock(pass.channels, scale_threads, Scale<Dtype>::Bytes(scale_threads),
               Scale<Dtype>{pass, parts, bands.per_plane, old_weight, running_mean, running_var});
  WithSide<Dtype>(pass.height, pass.width, [&](auto known) {
    typedef Perturb<Dtype, decltype(known)::side> Kernel;
    caffe::ForEachWarp(bands.warps, Kernel::Bytes(), Kernel{pass, bands, y});
  });
}

template int GpuPass<float>::CountBands() const;
template int GpuPass<double>::CountBands() const;
template void GpuForward(const GpuPass<float>&, double, float*, float*, float*);
template void GpuForward(const GpuPass<double>&, double, double*, double*, double*);

}  // namespace metaperturb

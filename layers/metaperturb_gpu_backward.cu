// MetaPerturb's backward pass on a GPU, five kernels, six where phi learns. It computes z and the
// signs of the ReLUs again, from x and the noise's counters, rather than keep them from the forward
// pass.
#include "caffe/util/device_workspace.hpp"
#include "layers/metaperturb_gpu_planes.hpp"

namespace metaperturb {

using caffe::ForEachBlock;

namespace {

/// Sums of the gradient of phi before they are added up; null where phi is not learned.
template <typename Dtype>
struct PhiParts {
  Dtype* planes = nullptr;    // N x C x 54: a1, a2, kappa
  Dtype* means = nullptr;     // N x bands x 18: b1, b2
  Dtype* channels = nullptr;  // C x 10: w
};
const int kPlaneParts = 54, kMeanParts = 18;

// Nine sums of gradient(i) times the tile around pixel i, to out[0..8].
template <typename Dtype, class Gradient>
CAFFE_HOST_DEVICE void AddKernelGradient(const Block& block, int count, int width,
                                         const Gradient& gradient, const Tile<Dtype>& in,
                                         Dtype* out, bool is_first_band) {
  for (int t = 0; t < 9; ++t) {
    const Dtype sum = block.Sum<Dtype>(count, [&](int i) {
      return gradient(i) * in.At(i / width + t / 3 - 1, i % width + t % 3 - 1);
    });
    block.Run(1, [&](int) { out[t] = is_first_band ? sum : out[t] + sum; });
  }
}

// With g the gradient of x (1 + a (s z - 1)): dx = g (1 + a (s z - 1)), dmu = g x a s z', and
// ds[n,c] = sum_hw g x a z.
template <typename Dtype>
struct NoiseGradient {
  GpuPass<Dtype> pass;
  int rows;
  const Dtype* dy;
  Dtype *dx, *dmu, *ds;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const PlaneOf<Dtype> plane(pass, block);
    const int width = pass.width;
    const Tile<Dtype> x(&block, 2, rows, width), hidden(&block, 1, rows, width);
    Dtype* terms = block.Shared<Dtype>(rows * width);  // epsilon, then the terms of ds
    const Dtype s = pass.s[plane.channel], a = pass.a;
    Dtype sum = 0;
    for (int h0 = 0; h0 < pass.height; h0 += rows) {
      const int band = pass.height - h0 < rows ? pass.height - h0 : rows;
      const int first = h0 * width;
      x.Fill(block, h0, band, pass.height,
             [&](int h, int w) { return pass.x[plane.at + h * width + w]; });
      FillEpsilon(pass, plane, block, first, band * width, terms);
      FillHidden(pass, plane, block, h0, band, x, hidden);
      block.Run(band * width, [&](int i) {
        const int r = i / width, q = i % width;
        const size_t at = plane.at + first + i;
        const Dtype mu =
            Stencil(pass.phi + kA2, hidden, r, q) + pass.hidden_b2[plane.at_mean + first + i];
        const Dtype z = Softplus(mu + terms[i]), v = x.At(r, q);
        const Dtype factor = 1 + a * (s * z - 1), t = v * factor;
        const Dtype g = t > pass.clip ? Dtype(0) : t > 0 ? dy[at] : pass.slope * dy[at];
        terms[i] = g * v * a * z;
        // softplus'(u) = sigmoid(u) = 1 - e^-softplus(u)
        dmu[at] = g * v * a * s * -std::expm1(-z);
        dx[at] = g * factor;
      });
      sum += block.Sum<Dtype>(band * width, [&](int i) { return terms[i]; });
    }
    block.Run(1, [&](int) { ds[block.index()] = sum; });
  }
};

// Through the outer Op and its ReLU: dp = (a2 turned * dmu + b2 turned * mean_c dmu) where the ReLU
// passes, with the mean's part given. a2's gradient, if asked for.
template <typename Dtype>
struct HiddenGradient {
  GpuPass<Dtype> pass;
  int rows;
  const Dtype *dmu, *through_mean;
  Dtype* dp;
  PhiParts<Dtype> parts;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const PlaneOf<Dtype> plane(pass, block);
    const int width = pass.width;
    const Tile<Dtype> x(&block, 2, rows, width), hidden(&block, 1, rows, width);
    const Tile<Dtype> outer(&block, 1, rows, width);
    Dtype* inner = block.Shared<Dtype>(rows * width);
    Dtype* out = parts.planes ? parts.planes + size_t(block.index()) * kPlaneParts : nullptr;
    for (int h0 = 0; h0 < pass.height; h0 += rows) {
      const int band = pass.height - h0 < rows ? pass.height - h0 : rows;
      const int first = h0 * width;
      x.Fill(block, h0, band, pass.height,
             [&](int h, int w) { return pass.x[plane.at + h * width + w]; });
      outer.Fill(block, h0, band, pass.height,
                 [&](int h, int w) { return dmu[plane.at + h * width + w]; });
      FillHidden(pass, plane, block, h0, band, x, hidden);
      block.Run(band * width, [&](int i) {
        const int r = i / width, q = i % width;
        const Dtype gradient =
            TurnedStencil(pass.phi + kA2, outer, r, q) + through_mean[plane.at_mean + first + i];
        inner[i] = hidden.At(r, q) > 0 ? gradient : Dtype(0);
        dp[plane.at + first + i] = inner[i];
      });
      if (!out) continue;
      AddKernelGradient(
          block, band * width, width, [&](int i) { return inner[i]; }, x, out, h0 == 0);  // a1
      AddKernelGradient(
          block, band * width, width, [&](int i) { return outer.At(i / width, i % width); }, hidden,
          out + 9, h0 == 0);  // a2
    }
  }
};

// One band, through a mean over the channels and the 3x3 kernel behind it (b1 or b2): from the
// gradient N x C x H x W to through_mean = kernel turned * mean_c gradient, and, if asked for, the
// kernel's own gradient, `in` being the plane that it reads.
template <typename Dtype>
struct MeanGradient {
  GpuPass<Dtype> pass;
  Bands<Dtype> bands;
  const Dtype *gradient, *kernel, *in;
  Dtype *through_mean, *parts;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const BandOf<Dtype> band(pass, bands, block);
    const int height = pass.height, width = pass.width, area = height * width;
    const Tile<Dtype> mean(&block, 1, bands.rows, width), input(&block, 1, bands.rows, width);
    const Dtype* image = gradient + band.at_image;
    mean.Fill(block, band.h0, band.count, height, [&](int h, int w) {
      return MeanOverChannels(image + h * width + w, pass.channels, area);
    });
    Dtype* out = through_mean + band.at_mean + size_t(band.h0) * width;
    block.Run(band.count * width,
              [&](int i) { out[i] = TurnedStencil(kernel, mean, i / width, i % width); });
    if (!parts) return;
    input.Fill(block, band.h0, band.count, height,
               [&](int h, int w) { return in[band.at_mean + h * width + w]; });
    AddKernelGradient(
        block, band.count * width, width,
        [&](int i) { return pass.channels * mean.At(i / width, i % width); }, input,
        parts + size_t(block.index()) * kMeanParts, true);
  }
};

// Block c: from ds to df[n,c,k] (TRAIN) and, if asked for, w's gradient.
template <typename Dtype>
struct ScaleGradient {
  GpuPass<Dtype> pass;
  const Dtype* ds;
  Dtype* df;
  PhiParts<Dtype> parts;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int c = block.index(), num = pass.num, channels = pass.channels;
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
    if (!pass.train) return;
    for (int k = 0; k < 4; ++k) {
      const double through_mean = dt * w[k] / num, through_var = dt * w[4 + k] * 2 / (num - 1);
      block.Run(num, [&](int n) {
        const size_t at = (size_t(n) * 4 + k) * channels + c;
        df[at] = through_mean + through_var * (pass.f[at] - feature[k]);
      });
    }
  }
};

// Adds to dx what comes through the inner Op and, in TRAIN, through the scale's statistics.
template <typename Dtype>
struct InputGradient {
  GpuPass<Dtype> pass;
  int rows;
  const Dtype *dp, *through_mean, *df;
  Dtype* dx;
  PhiParts<Dtype> parts;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const PlaneOf<Dtype> plane(pass, block);
    const int width = pass.width;
    const Tile<Dtype> x(&block, 2, rows, width), gradient(&block, 1, rows, width);
    for (int h0 = 0; h0 < pass.height; h0 += rows) {
      const int band = pass.height - h0 < rows ? pass.height - h0 : rows;
      const int first = h0 * width, count = band * width;
      const size_t at = plane.at + first;
      gradient.Fill(block, h0, band, pass.height,
                    [&](int h, int w) { return dp[plane.at + h * width + w]; });
      block.Run(count, [&](int i) {
        dx[at + i] += TurnedStencil(pass.phi + kA1, gradient, i / width, i % width) +
                      through_mean[plane.at_mean + first + i];
      });
      if (!pass.train) continue;
      x.Fill(block, h0, band, pass.height,
             [&](int h, int w) { return pass.x[plane.at + h * width + w]; });
      for (int k = 0; k < 4; ++k) {
        const Dtype* kappa = pass.phi + kKappa + 9 * k;
        const Dtype each =
            df[(size_t(plane.image) * 4 + k) * pass.channels + plane.channel] / plane.area;
        gradient.Fill(block, h0, band, pass.height, [&](int h, int w) {
          return Stencil(kappa, x, h - h0, w) > 0 ? each : Dtype(0);
        });
        block.Run(count, [&](int i) {
          dx[at + i] += TurnedStencil(kappa, gradient, i / width, i % width);
        });
        if (!parts.planes) continue;
        Dtype* out = parts.planes + size_t(block.index()) * kPlaneParts + 18 + 9 * k;
        AddKernelGradient(
            block, count, width, [&](int i) { return gradient.At(i / width, i % width); }, x, out,
            h0 == 0);
      }
    }
  }
};

// Block j adds up the parts of phi's gradient j.
template <typename Dtype>
struct AddPhiParts {
  int num, channels, mean_parts;
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
      part = parts.planes + (j < kB1 ? j : j < kB2 ? j - kA2 + 9 : j - kKappa + 18);
      count = num * channels, step = kPlaneParts;
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
  const int height = pass.height, width = pass.width, area = height * width;
  const int num = pass.num, channels = pass.channels, planes = num * channels;
  const int rows = BandRows<Dtype>(height, width, caffe::Device::Get().SharedMemory());
  const int threads = ThreadsFor(rows * width);
  const Bands<Dtype> bands(pass);
  const int band_blocks = num * bands.in_image;
  caffe::DeviceWorkspace work;
  Dtype* dmu = work.Get<Dtype>(size_t(planes) * area);
  Dtype* dp = work.Get<Dtype>(size_t(planes) * area);
  Dtype* through_mean = work.Get<Dtype>(size_t(num) * area);
  Dtype* ds = work.Get<Dtype>(planes);
  Dtype* df = work.Get<Dtype>(size_t(planes) * 4);
  PhiParts<Dtype> parts;
  if (phi_diff) {
    parts.planes = work.Get<Dtype>(size_t(planes) * kPlaneParts);
    parts.means = work.Get<Dtype>(size_t(band_blocks) * kMeanParts);
    parts.channels = work.Get<Dtype>(size_t(channels) * 10);
  }
  const size_t tile0 = TileBytes<Dtype>(0, rows, width), tile1 = TileBytes<Dtype>(1, rows, width),
               tile2 = TileBytes<Dtype>(2, rows, width);
  const size_t mean_bytes = 2 * TileBytes<Dtype>(1, bands.rows, width);
  const MeanGradient<Dtype> outer{pass,
                                  bands,
                                  dmu,
                                  pass.phi + kB2,
                                  pass.hidden,
                                  through_mean,
                                  phi_diff ? parts.means + 9 : nullptr};
  const MeanGradient<Dtype> inner{pass,      bands,        dp,         pass.phi + kB1,
                                  pass.mean, through_mean, parts.means};

  ForEachBlock(planes, threads, tile2 + tile1 + tile0,
               NoiseGradient<Dtype>{pass, rows, dy, dx, dmu, ds});
  ForEachBlock(band_blocks + channels, threads, mean_bytes,
               caffe::Beside<MeanGradient<Dtype>, ScaleGradient<Dtype>>{
                   outer, band_blocks, ScaleGradient<Dtype>{pass, ds, df, parts}});
  ForEachBlock(planes, threads, MostTileBytes<Dtype>(rows, width),
               HiddenGradient<Dtype>{pass, rows, dmu, through_mean, dp, parts});
  ForEachBlock(band_blocks, threads, mean_bytes, inner);
  ForEachBlock(planes, threads, tile2 + tile1,
               InputGradient<Dtype>{pass, rows, dp, through_mean, df, dx, parts});
  if (!phi_diff) return;
  ForEachBlock(kPhiSize, 256, 0,
               AddPhiParts<Dtype>{num, channels, band_blocks, pass.train, parts, phi_diff});
}

template void GpuBackward(const GpuPass<float>&, const float*, float*, float*);
template void GpuBackward(const GpuPass<double>&, const double*, double*, double*);

}  // namespace metaperturb

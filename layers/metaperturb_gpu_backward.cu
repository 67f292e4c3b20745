// MetaPerturb's backward pass on a GPU, five kernels, six where phi learns. It computes the signs
// of the ReLUs again, from x, rather than keep them from the forward pass.
#include "caffe/util/device_vectors.hpp"
#include "caffe/util/device_workspace.hpp"
#include "layers/metaperturb_gpu_planes.hpp"

namespace metaperturb {

using caffe::ForEachBlock;

namespace {

/// Sums of the gradient of phi before they are added up; null where phi is not learned.
template <typename Dtype>
struct PhiParts {
  Dtype* planes = nullptr;    // N x C x 54: a1, a2, kappa
  Dtype* means = nullptr;     // N x parts x 18: b1, b2
  Dtype* channels = nullptr;  // C x 10: w
};
const int kPlaneParts = 54, kMeanParts = 18;

// With g the gradient of x (1 + a (s z - 1)): dx = g (1 + a (s z - 1)), dmu = g x a s z', and
// ds[n,c] = sum_hw g x a z. As z = softplus(mu + epsilon), z' = 1 - e^-z.
template <typename Dtype, int kWidth>
struct NoiseGradient {
  static const int kBlocksOfWarps = 4;
  GpuPass<Dtype> pass;
  const Dtype* dy;
  Dtype *dx, *dmu, *ds;
  static size_t Bytes(const Parts& parts) { return parts.SumsBytes<Dtype>(1); }
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const PlaneOf<Dtype> plane(pass, block);
    Dtype* scratch = block.Shared<Dtype>(Block::SumsCount(1, block.threads()));
    const Dtype s = pass.s[plane.channel], a = pass.a;
    Dtype* sum_of_plane = ds + block.index();
    block.Sums<1>(
        plane.area / kWidth, scratch,
        [&](int i, Dtype* own) {
          const size_t at = plane.at + i * kWidth;
          const auto x = caffe::LoadNeighbours<kWidth>(pass.x + at);
          const auto z = caffe::LoadNeighbours<kWidth>(pass.z + at);
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

// Through the outer Op and its ReLU: dp = (a2 turned * dmu + b2 turned * mean_c dmu) where the ReLU
// passes, with the mean's part given. If phi learns, the gradients of a1 and a2, too.
template <typename Dtype, bool learns>
struct HiddenGradient {
  static const int kBlocksOfWarps = learns ? 2 : 4;
  GpuPass<Dtype> pass;
  Parts parts;
  const Dtype *dmu, *through_mean;
  Dtype* dp;
  Dtype* phi_parts;
  static size_t Bytes(const Parts& parts) {
    return parts.TileBytes<Dtype>(2) + 2 * parts.TileBytes<Dtype>(1) +
           (learns ? parts.SumsBytes<Dtype>(18) : 0);
  }
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const PlaneOf<Dtype> plane(pass, block);
    const Tile<Dtype> x(&block, parts, 2), hidden(&block, parts, 1), outer(&block, parts, 1);
    Dtype* scratch = learns ? block.Shared<Dtype>(Block::SumsCount(18, block.threads())) : nullptr;
    const Kernel3x3<Dtype> a2(pass.phi + kA2);
    for (int p = 0; p < parts.count; ++p) {
      const Part part(parts, p);
      x.Load(block, parts, part, pass.x + plane.at);
      outer.Load(block, parts, part, dmu + plane.at);
      FillHidden(pass, plane, block, parts, part, x, hidden);
      if (!learns) {
        ForEachStrip(block, parts, part, [&](int r, int q) {
          const Around<Dtype> around_outer(outer, r, q);
          for (int j = 0; j < kStrip; ++j) {
            if (r + j < part.rows) {
              Gradient(plane, part, r + j, q, around_outer.TurnedStencil(a2, j),
                       hidden.At(r + j, q));
            }
          }
        });
        continue;
      }
      SumOverStrips<18>(
          block, parts, part, scratch,
          [&](int r, int q, Dtype* own) {
            const Around<Dtype> around_outer(outer, r, q), around_hidden(hidden, r, q);
            const Around<Dtype> around_x(x, r, q);
            for (int j = 0; j < kStrip; ++j) {
              if (r + j >= part.rows) continue;
              const Dtype inner = Gradient(plane, part, r + j, q, around_outer.TurnedStencil(a2, j),
                                           around_hidden.v[j + 1][1]);
              around_x.AddKernelGradient(inner, j, own);
              around_hidden.AddKernelGradient(around_outer.v[j + 1][1], j, own + 9);
            }
          },
          [&](int k, Dtype sum) {
            Dtype* out = phi_parts + size_t(block.index()) * kPlaneParts + k;
            *out = (p == 0 ? 0 : *out) + sum;
          });
    }
  }
  CAFFE_HOST_DEVICE Dtype Gradient(const PlaneOf<Dtype>& plane, const Part& part, int r, int q,
                                   Dtype through_a2, Dtype hidden) const {
    const int pixel = (part.h0 + r) * parts.width + part.w0 + q;
    const Dtype gradient = through_a2 + through_mean[plane.at_mean + pixel];
    const Dtype inner = hidden > 0 ? gradient : Dtype(0);
    dp[plane.at + pixel] = inner;
    return inner;
  }
};

// One part of an image, through a mean over the channels and the 3x3 kernel behind it (b1 or b2):
// from the gradient N x C x H x W to through_mean = kernel turned * mean_c gradient, and, if asked
// for, the kernel's own gradient, `in` being the plane that it reads.
template <typename Dtype>
struct MeanGradient {
  GpuPass<Dtype> pass;
  Parts parts;
  ChannelSlices<Dtype> slices;
  const Dtype *gradient, *kernel, *in;
  Dtype *through_mean, *phi_parts;
  size_t Bytes() const {
    return 2 * parts.TileBytes<Dtype>(1) + slices.Bytes() +
           (Block::SumsCount(9, kMeanThreads) + 4) * sizeof(Dtype);
  }
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const ImagePartOf<Dtype> at(pass, parts, block);
    const Part& part = at.part;
    const int width = pass.width;
    const Tile<Dtype> mean(&block, parts, 1), input(&block, parts, 1);
    Dtype* sums_of_slices = block.Shared<Dtype>(slices.scratch_count);
    LoadMean(block, parts, part, gradient + at.at_image, slices, sums_of_slices, mean);
    const Kernel3x3<Dtype> turned(kernel);
    Dtype* out = through_mean + at.at_mean;
    ForEachStrip(block, parts, part, [&](int r, int q) {
      const Around<Dtype> around(mean, r, q);
      for (int j = 0; j < kStrip; ++j) {
        if (r + j >= part.rows) continue;
        out[(part.h0 + r + j) * width + part.w0 + q] = around.TurnedStencil(turned, j);
      }
    });
    if (!phi_parts) return;
    input.Load(block, parts, part, in + at.at_mean);
    Dtype* scratch = block.Shared<Dtype>(Block::SumsCount(9, block.threads()));
    Dtype* sums = phi_parts + size_t(block.index()) * kMeanParts;
    SumOverStrips<9>(
        block, parts, part, scratch,
        [&](int r, int q, Dtype* own) {
          const Around<Dtype> around(input, r, q);
          for (int j = 0; j < kStrip; ++j) {
            if (r + j >= part.rows) continue;
            around.AddKernelGradient(pass.channels * mean.At(r + j, q), j, own);
          }
        },
        [&](int t, Dtype sum) { sums[t] = sum; });
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

// Adds to dx what comes through the inner Op and, in TRAIN, through the scale's statistics. If phi
// learns, the gradients of the kappas, too.
template <typename Dtype, bool learns>
struct InputGradient {
  static const int kBlocksOfWarps = learns ? 2 : 3;
  GpuPass<Dtype> pass;
  Parts parts;
  const Dtype *dp, *through_mean, *df;
  Dtype* dx;
  Dtype* phi_parts;
  static size_t Bytes(const Parts& parts) {
    return parts.TileBytes<Dtype>(2) + parts.TileBytes<Dtype>(1) + parts.TileBytes<int>(1) +
           9 * 16 * sizeof(Dtype) + (learns ? parts.SumsBytes<Dtype>(18) : 0);
  }
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const PlaneOf<Dtype> plane(pass, block);
    const Tile<Dtype> x(&block, parts, 2), inner(&block, parts, 1);
    const Tile<int> gates(&block, parts, 1);
    Dtype* turned = block.Shared<Dtype>(9 * 16);
    Dtype* scratch = learns ? block.Shared<Dtype>(Block::SumsCount(18, block.threads())) : nullptr;
    const Kernel3x3<Dtype> a1(pass.phi + kA1);
    Dtype each[4];  // what reaches kappa_k * x where its ReLU passes
    for (int k = 0; k < 4; ++k) {
      each[k] = pass.train
                    ? df[(size_t(plane.image) * 4 + k) * pass.channels + plane.channel] / plane.area
                    : Dtype(0);
    }
    block.Run(9 * 16, [&](int i) { turned[i] = Turned(each, i / 16, i % 16); });
    for (int p = 0; p < parts.count; ++p) {
      const Part part(parts, p);
      inner.Load(block, parts, part, dp + plane.at);
      if (pass.train) {
        x.Load(block, parts, part, pass.x + plane.at);
        FillGates(block, part, x, gates);
      }
      ForEachStrip(block, parts, part, [&](int r, int q) {
        const Around<Dtype> around_inner(inner, r, q);
        Dtype sums[kStrip];
        for (int j = 0; j < kStrip; ++j) sums[j] = around_inner.TurnedStencil(a1, j);
        if (pass.train) {
          const Around<int> around_gates(gates, r, q);
          for (int j = 0; j < kStrip; ++j) {
            for (int t = 0; t < 9; ++t) {
              // Below the part there may be anything: of what nothing is written.
              sums[j] += turned[t * 16 + (around_gates.v[j + t / 3][t % 3] & 15)];
            }
          }
        }
        for (int j = 0; j < kStrip; ++j) {
          if (r + j >= part.rows) continue;
          const int pixel = (part.h0 + r + j) * parts.width + part.w0 + q;
          dx[plane.at + pixel] += sums[j] + through_mean[plane.at_mean + pixel];
        }
      });
      if (learns && pass.train) {
        AddKappaGradients(block, part, each, x, gates, scratch, p == 0,
                          phi_parts + size_t(block.index()) * kPlaneParts + 18);
      }
    }
  }
  // What a neighbour gives through element t of the kappas turned around, bit k of `gates` being
  // whether the ReLU of kappa_k * x passes there.
  CAFFE_HOST_DEVICE Dtype Turned(const Dtype* each, int t, int gates) const {
    Dtype sum = 0;
    for (int k = 0; k < 4; ++k) {
      if (gates >> k & 1) sum += each[k] * pass.phi[kKappa + 9 * k + 8 - t];
    }
    return sum;
  }
  // Two kernels at a time: registers for all four leave room for too few threads.
  CAFFE_HOST_DEVICE void AddKappaGradients(const Block& block, const Part& part, const Dtype* each,
                                           const Tile<Dtype>& x, const Tile<int>& gates,
                                           Dtype* scratch, bool is_first, Dtype* out) const {
    for (int pair = 0; pair < 2; ++pair, out += 18) {
      const Dtype first = pair == 0 ? each[0] : each[2], second = pair == 0 ? each[1] : each[3];
      SumOverStrips<18>(
          block, parts, part, scratch,
          [&](int r, int q, Dtype* own) {
            const Around<Dtype> around(x, r, q);
            for (int j = 0; j < kStrip; ++j) {
              if (r + j >= part.rows) continue;
              const int passes = gates.At(r + j, q) >> (2 * pair);
              around.AddKernelGradient(passes & 1 ? first : Dtype(0), j, own);
              around.AddKernelGradient(passes & 2 ? second : Dtype(0), j, own + 9);
            }
          },
          [&](int t, Dtype sum) { out[t] = (is_first ? 0 : out[t]) + sum; });
    }
  }
  CAFFE_HOST_DEVICE void FillGates(const Block& block, const Part& part, const Tile<Dtype>& x,
                                   const Tile<int>& gates) const {
    gates.ForEachStrip(block, part, [&](int* pixel, int h, int w) {
      const bool in_row = w >= 0 && w < parts.width;
      const Around<Dtype> around(x, h - part.h0, w - part.w0);
      int passes[kStrip];
      for (int j = 0; j < kStrip; ++j) passes[j] = 0;
      for (int k = 0; k < 4; ++k) {
        const Kernel3x3<Dtype> kappa(pass.phi + kKappa + 9 * k);
        for (int j = 0; j < kStrip; ++j) {
          if (around.Stencil(kappa, j) > 0) passes[j] |= 1 << k;
        }
      }
      for (int j = 0; j < kStrip; ++j) {
        const bool inside = in_row && h + j >= 0 && h + j < parts.height;
        pixel[j * gates.pitch] = inside ? passes[j] : 0;
      }
    });
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
  const int area = pass.height * pass.width;
  const int num = pass.num, channels = pass.channels, planes = num * channels;
  const Parts parts(pass.height, pass.width, kPlaneBytes / sizeof(Dtype));
  const Parts mean_parts(pass.height, pass.width, kMeanBytes / sizeof(Dtype));
  const int mean_blocks = num * mean_parts.count;
  caffe::DeviceWorkspace work;
  Dtype* dmu = work.Get<Dtype>(size_t(planes) * area);
  Dtype* dp = work.Get<Dtype>(size_t(planes) * area);
  Dtype* through_mean = work.Get<Dtype>(size_t(num) * area);
  Dtype* ds = work.Get<Dtype>(planes);
  Dtype* df = work.Get<Dtype>(size_t(planes) * 4);
  PhiParts<Dtype> phi;
  if (phi_diff) {
    phi.planes = work.Get<Dtype>(size_t(planes) * kPlaneParts);
    phi.means = work.Get<Dtype>(size_t(mean_blocks) * kMeanParts);
    phi.channels = work.Get<Dtype>(size_t(channels) * 10);
  }
  const ChannelSlices<Dtype> slices(mean_parts, 1, channels, kMeanThreads);
  const MeanGradient<Dtype> outer{
      pass,           mean_parts,  slices,       dmu,
      pass.phi + kB2, pass.hidden, through_mean, phi_diff ? phi.means + 9 : nullptr};
  const MeanGradient<Dtype> inner{pass,           mean_parts, slices,       dp,
                                  pass.phi + kB1, pass.mean,  through_mean, phi.means};
  const std::initializer_list<const void*> arrays = {pass.x, pass.z, dy, dx, dmu};
  if (caffe::FourAtOnce(area, arrays)) {
    ForEachPlane(planes, parts, NoiseGradient<Dtype, 4>{pass, dy, dx, dmu, ds});
  } else {
    ForEachPlane(planes, parts, NoiseGradient<Dtype, 1>{pass, dy, dx, dmu, ds});
  }
  ForEachBlock(mean_blocks + channels, kMeanThreads, outer.Bytes(),
               caffe::Beside<MeanGradient<Dtype>, ScaleGradient<Dtype>>{
                   outer, mean_blocks, ScaleGradient<Dtype>{pass, ds, df, phi}});
  if (phi_diff) {
    ForEachPlane(planes, parts,
                 HiddenGradient<Dtype, true>{pass, parts, dmu, through_mean, dp, phi.planes});
  } else {
    ForEachPlane(planes, parts,
                 HiddenGradient<Dtype, false>{pass, parts, dmu, through_mean, dp, nullptr});
  }
  ForEachBlock(mean_blocks, kMeanThreads, inner.Bytes(), inner);
  if (phi_diff) {
    ForEachPlane(planes, parts,
                 InputGradient<Dtype, true>{pass, parts, dp, through_mean, df, dx, phi.planes});
  } else {
    ForEachPlane(planes, parts,
                 InputGradient<Dtype, false>{pass, parts, dp, through_mean, df, dx, nullptr});
  }
  if (!phi_diff) return;
  ForEachBlock(kPhiSize, 256, 0,
               AddPhiParts<Dtype>{num, channels, mean_blocks, pass.train, phi, phi_diff});
}

template void GpuBackward(const GpuPass<float>&, const float*, float*, float*);
template void GpuBackward(const GpuPass<double>&, const double*, double*, double*);

}  // namespace metaperturb

#ifndef METAPERTURB_LAYERS_METAPERTURB_GPU_NOISE_HPP_
#define METAPERTURB_LAYERS_METAPERTURB_GPU_NOISE_HPP_

// The noise of MetaPerturb's GPU kernels: epsilon of a band, and softplus.

#include <cmath>

#include "layers/metaperturb_gpu.hpp"
#include "layers/metaperturb_gpu_bands.hpp"

namespace metaperturb {

/// epsilon of a band, in its warp's shared memory.
template <typename Dtype>
struct BandNoise {
  static const int kCount = (kBand + 1) * Block::kWarp;  // values of Block::Shared
  Dtype* values;
  int pitch;             // from row to row
  Lanes<Dtype*> column;  // of row 0 the value of the lane's column

  // A plane's values lie one after another, with an empty row behind them: planes begin in
  // different banks of the memory.
  CAFFE_HOST_DEVICE BandNoise(Block* warp, const Bands& bands, const Band& band)
      : values(warp->Shared<Dtype>(kCount)), pitch(bands.pitch) {
    ForEachLane([&](int lane) {
      const int slot = band.plane[lane] - band.first;
      column[lane] = values + (bands.wide ? lane : slot * (kBand + 1) * bands.pitch + band.w[lane]);
    });
  }
  /// All is written when the warp's next barrier is passed.
  CAFFE_HOST_DEVICE void Fill(const GpuPass<Dtype>& pass, const Bands& bands,
                              const Band& band) const {
    if (pass.epsilon || !pass.noise.sample) {
      FillGiven(pass, bands, band);
    } else if (bands.wide) {
      DrawWide(pass, bands, band);
    } else {
      DrawNarrow(pass, bands, band);
    }
  }
  /// Of row r, 0 .. band.rows - 1, in a lane that owns a column.
  CAFFE_HOST_DEVICE Dtype At(int r, int lane) const { return column[lane][r * pitch]; }

 private:
  CAFFE_HOST_DEVICE void FillGiven(const GpuPass<Dtype>& pass, const Bands& bands,
                                   const Band& band) const {
    for (int r = 0; r < band.rows; ++r) {
      ForEachLane([&](int lane) {
        if (!band.own[lane]) return;
        column[lane][r * pitch] =
            pass.epsilon ? pass.epsilon[band.at[lane] + r * bands.width] : Dtype(0);
      });
    }
  }

  // Four numbers to a counter, which begins at a multiple of four pixels of the plane, as a band of
  // whole rows does: column w has counters w and w + pitch of it.
  CAFFE_HOST_DEVICE void DrawNarrow(const GpuPass<Dtype>& pass, const Bands& bands,
                                    const Band& band) const {
    const int first = band.h0 / 4 * bands.pitch;
    Unrolled<kBand / 4>([&](int j) {
      if (4 * j >= band.rows) return;
      ForEachLane([&](int lane) {
        const int group = j * bands.pitch + band.w[lane];
        float normal[4];
        Draw(pass, band.plane[lane], first + group, normal);
        if (!band.inside[lane]) return;
        Dtype* to = column[lane] - band.w[lane] + 4 * group;
        for (int k = 0; k < 4; ++k) to[k] = normal[k];
      });
    });
  }
  // Of each row, which may begin and end within a counter's four.
  CAFFE_HOST_DEVICE void DrawWide(const GpuPass<Dtype>& pass, const Bands& bands,
                                  const Band& band) const {
    const int groups = Block::kWarp / 4;
    Unrolled<kBand / 4>([&](int j) {
      if (4 * j >= band.rows) return;
      ForEachLane([&](int lane) {
        const int r = j * (Block::kWarp / groups) + lane / groups;
        const int first = (band.h0 + r) * bands.width + band.w0;  // pixel of the plane
        const int group = first / 4 + lane % groups, begin = 4 * group - first;
        float normal[4];
        Draw(pass, band.first, group, normal);
        for (int k = 0; k < 4; ++k) {
          const int at = begin + k;  // which of the band's columns
          if (at >= 0 && at < bands.columns) {
            values[r * pitch + kBeside + at] = normal[k];
          }
        }
      });
    });
  }
  static CAFFE_HOST_DEVICE void Draw(const GpuPass<Dtype>& pass, int plane, int group,
                                     float* normal) {
    const caffe::Philox bits =
        caffe::Philox::At(pass.noise.key, group, plane, static_cast<uint32_t>(pass.noise.pass),
                          static_cast<uint32_t>(pass.noise.pass >> 32));
    caffe::PhiloxNormalPair(bits.v[0], bits.v[1], &normal[0], &normal[1]);
    caffe::PhiloxNormalPair(bits.v[2], bits.v[3], &normal[2], &normal[3]);
  }
};

/// Where the band's first pixel in each lane's column is in N x H x W.
template <typename Dtype>
CAFFE_HOST_DEVICE inline Lanes<int> ImageOf(const GpuPass<Dtype>& pass, const Bands& bands,
                                            const Band& band) {
  Lanes<int> at;
  ForEachLane([&](int lane) {
    const int image = pass.by_channels.Quotient(band.inside[lane] ? band.plane[lane] : 0);
    at[lane] = (image * bands.height + band.h0) * bands.width + band.w[lane];
  });
  return at;
}

/// ReLU(Op(x; a1, b1)) of a band, row by row.
template <typename Dtype>
struct HiddenRows {
  Lanes<int> at_mean;
  Lanes<Dtype> rows[kBand + 4];  // of x; row r of the band is rows[r + 2]
  Lanes<Dtype> mean_b1[kBand + 2];
  Kernel3x3<Dtype> a1;
  Window<Dtype> x, window;  // of x and of the hidden values

  CAFFE_HOST_DEVICE HiddenRows(const GpuPass<Dtype>& pass, const Bands& bands, const Band& band)
      : at_mean(ImageOf(pass, bands, band)), a1(pass.phi + kA1) {
    LoadRows<kBand + 4>(bands, band, band.at, -2, pass.x, rows);
    LoadRows<kBand + 2>(bands, band, at_mean, -1, pass.mean_b1, mean_b1);
  }
  /// The i-th row of x, i = 0 .. kBand + 3. From i = 4 on the windows' middles are row i - 4 of the
  /// hidden values and row i - 3 of x.
  CAFFE_HOST_DEVICE void Push(const Bands& bands, const Band& band, int i) {
    x.Push(band, rows[i]);
    if (i < 2) return;
    const int h = band.h0 + i - 3;
    Lanes<Dtype> hidden;
    ForEachLane([&](int lane) {
      const Dtype p = x.Stencil(a1, lane) + mean_b1[i - 2][lane];
      hidden[lane] = h >= 0 && h < bands.height && band.inside[lane] ? Rectified(p) : Dtype(0);
    });
    window.Push(band, hidden);
  }
};

#ifdef __CUDA_ARCH__
// e^-u = 2^(-u / ln 2) of u >= 0; results that it has no exponent for are 0.
__device__ inline float NegativePower(float u) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(-1.44269504f * u));
  return power;
}
#endif

/// softplus(u) = ln(1 + e^u). Floats on a GPU by its own functions, whose errors leave the result's
/// within 6e-7, absolutely, and so is the derivative, which is 1 - e^-z of the result z.
template <typename Dtype>
CAFFE_HOST_DEVICE inline Dtype Softplus(Dtype u) {
#ifdef __CUDA_ARCH__
  if (sizeof(Dtype) == sizeof(float)) {
    return fmaxf(u, 0) + __logf(1 + NegativePower(fabsf(u)));
  }
#endif
  return (u > 0 ? u : Dtype(0)) + std::log1p(std::exp(-std::fabs(u)));
}

/// softplus' where softplus is z: 1 - e^-z. Floats on a GPU: within 4e-7, absolutely, as the PTX
/// ISA bounds ex2.approx's relative error by 2^-22.
template <typename Dtype>
CAFFE_HOST_DEVICE inline Dtype SoftplusSlope(Dtype z) {
#ifdef __CUDA_ARCH__
  if (sizeof(Dtype) == sizeof(float)) return 1 - NegativePower(z);
#endif
  return -std::expm1(-z);
}

/// What the gradient of one element's y becomes before it goes on through mu and s.
template <typename Dtype>
struct ThroughNoise {
  Dtype to_x, to_mu, to_s;

  /// With g the gradient of x (1 + a (s z - 1)), dy where neither clip nor ReLU is in the way: g (1
  /// + a (s z - 1)), g x a s z', and of s the term g x a z. As z = softplus(mu + epsilon), z' = 1 -
  /// e^-z. z's sign is not looked at.
  CAFFE_HOST_DEVICE ThroughNoise(const GpuPass<Dtype>& pass, Dtype s, Dtype x, Dtype signed_z,
                                 Dtype dy) {
    const Dtype z = std::fabs(signed_z), factor = 1 + pass.a * (s * z - 1), t = x * factor;
    const Dtype g = t > pass.clip ? Dtype(0) : t > 0 ? dy : pass.slope * dy;
    const Dtype through = g * x * pass.a;
    to_x = g * factor;
    to_mu = through * s * SoftplusSlope(z);
    to_s = through * z;
  }
};

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_METAPERTURB_GPU_NOISE_HPP_

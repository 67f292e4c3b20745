// The body of metaperturb_kernels.hpp. Each metaperturb_kernels_<isa>.cpp sets kBlock and includes this in a
// namespace of its own, compiled for that instruction set. Arrays with a border of one zero pixel ("padded")
// spare the stencils every test at the edges.

struct Plan {
  explicit Plan(const ImageShape& s)
      : area(s.height * s.width),
        stride(s.width + 2),
        padded((s.height + 2) * (s.width + 2)),
        lanes_padded(size_t(padded) * kBlock) {}
  int area;
  int stride;           // of a padded row, in pixels
  int padded;           // pixels of a padded plane
  size_t lanes_padded;  // floats of a padded block plane
};

// Scratch of one thread: the zero borders are never written, so they stay zero from call to call.
struct Scratch {
  Scratch(const ImageShape& s, const Plan& p, float* base) {
    const auto take = [&base](size_t floats) {
      float* at = base;
      base += (floats + 15) / 16 * 16;
      return at;
    };
    x = take(p.lanes_padded);
    for (float*& plane : dq) plane = take(p.lanes_padded);
    r = take(p.lanes_padded * s.groups);
    d1 = take(p.lanes_padded * s.groups);
    d2 = take(p.lanes_padded * s.groups);
    lanes = take(size_t(p.area + 3) * kBlock);
    mean = take(p.padded);
    mean2 = take(p.padded);
    plane = take(p.area);
    end = base;
  }
  float *x, *dq[4], *r, *d1, *d2, *lanes, *mean, *mean2, *plane, *end;
};

size_t ScratchSize(const ImageShape& s) {
  return static_cast<size_t>(Scratch(s, Plan(s), nullptr).end - static_cast<float*>(nullptr));
}

// 1 in the lanes that hold a channel, 0 beyond.
V Mask(const ImageShape& s, int group) {
  V mask{};
  for (int l = 0; l < kBlock; ++l) mask[l] = group * kBlock + l < s.channels ? 1.0f : 0.0f;
  return mask;
}

// kKernels cross-correlations at kPixels neighbouring pixels: `at` points to the first pixel's upper left
// neighbour in a padded block plane; taps[t * kKernels + j] is tap t of kernel j.
template <int kPixels, int kKernels>
inline void Stencil(const float* at, int stride, const float* taps, V sum[kPixels][kKernels]) {
  for (int p = 0; p < kPixels; ++p) {
    for (int j = 0; j < kKernels; ++j) sum[p][j] = V{};
  }
#pragma GCC unroll 3
  for (int u = 0; u < 3; ++u) {
#pragma GCC unroll 3
    for (int v = 0; v < 3; ++v) {
      V in[kPixels];
#pragma GCC unroll 8
      for (int p = 0; p < kPixels; ++p) in[p] = Load(at + (u * stride + v + p) * kBlock);
#pragma GCC unroll 8
      for (int j = 0; j < kKernels; ++j) {
        const float tap = taps[(u * 3 + v) * kKernels + j];
#pragma GCC unroll 8
        for (int p = 0; p < kPixels; ++p) sum[p][j] += in[p] * tap;
      }
    }
  }
}

// Runs body(pixel index in the plane, sums) over all pixels, four at a time where the row allows.
template <int kKernels, class Body>
inline void ForEachPixel(const ImageShape& s, const Plan& plan, const float* padded,
                         const float* taps, const Body& body) {
  const int kWide = 4;
  for (int h = 0; h < s.height; ++h) {
    const float* row = padded + size_t(h) * plan.stride * kBlock;
    int w = 0;
    for (; w + kWide <= s.width; w += kWide) {
      V sum[kWide][kKernels];
      Stencil<kWide, kKernels>(row + w * kBlock, plan.stride, taps, sum);
#pragma GCC unroll 4
      for (int p = 0; p < kWide; ++p) body(h, w + p, sum[p]);
    }
    for (; w < s.width; ++w) {
      V sum[1][kKernels];
      Stencil<1, kKernels>(row + w * kBlock, plan.stride, taps, sum);
      body(h, w, sum[0]);
    }
  }
}

// The same for a plane without channels.
inline void PlaneStencil(const ImageShape& s, const Plan& plan, const float* padded,
                         const float* taps, float scale, float* out) {
  for (int h = 0; h < s.height; ++h) {
    for (int w = 0; w < s.width; ++w) {
      float sum = 0;
      for (int t = 0; t < 9; ++t) sum += taps[t] * padded[(h + t / 3) * plan.stride + w + t % 3];
      out[h * s.width + w] = sum * scale;
    }
  }
}

// The kernel of the transposed stencil.
inline void Flip(const float* taps, float* flipped) {
  for (int t = 0; t < 9; ++t) flipped[t] = taps[8 - t];
}

inline size_t PaddedAt(const Plan& plan, int h, int w) {
  return size_t(h + 1) * plan.stride + w + 1;
}

inline void CopyPadded(const ImageShape& s, const Plan& plan, const float* from, float* padded) {
  for (int h = 0; h < s.height; ++h) {
    for (int w = 0; w < s.width; ++w) {
      Store(padded + PaddedAt(plan, h, w) * kBlock, Load(from + (h * s.width + w) * kBlock));
    }
  }
}

// padded[h][w] = scale * (sum over the lanes of lanes[h][w])
inline void SumLanes(const ImageShape& s, const Plan& plan, const float* lanes, float scale,
                     float* padded) {
  for (int h = 0; h < s.height; ++h) {
    for (int w = 0; w < s.width; ++w) {
      padded[PaddedAt(plan, h, w)] = scale * Sum(Load(lanes + (h * s.width + w) * kBlock));
    }
  }
}

// mean_c x, padded.
inline void ChannelMean(const ImageShape& s, const Plan& plan, const float* x, Scratch* scratch) {
  for (int i = 0; i < plan.area; ++i) {
    V sum{};
    for (int g = 0; g < s.groups; ++g) sum += Load(x + (size_t(g) * plan.area + i) * kBlock);
    Store(scratch->lanes + i * kBlock, sum);
  }
  SumLanes(s, plan, scratch->lanes, 1.0f / s.channels, scratch->mean);
}

void SampleGroup(const NoiseSource& noise, const ImageShape& s, int group, float* epsilon) {
  VU channel{};
  for (int l = 0; l < kBlock; ++l) channel[l] = noise.image * s.channels + group * kBlock + l;
  const VU pass_low = static_cast<uint32_t>(noise.pass) - VU{};
  const VU pass_high = static_cast<uint32_t>(noise.pass >> 32) - VU{};
  const int area = s.height * s.width;
  for (int i = 0; i < area; i += 4) {
    VU bits[4];
    PhiloxBlock(noise.key, static_cast<uint32_t>(i / 4) - VU{}, channel, pass_low, pass_high, bits);
    V normal[4];
    NormalPair(bits[0], bits[1], &normal[0], &normal[1]);
    NormalPair(bits[2], bits[3], &normal[2], &normal[3]);
    for (int j = 0; j < 4 && i + j < area; ++j) Store(epsilon + (i + j) * kBlock, normal[j]);
  }
}

void ForwardImage(const ImageShape& s, const float* phi, const float* x, const NoiseSource& noise,
                  float* z, float* f, float* scratch_base) {
  const Plan plan(s);
  Scratch scratch(s, plan, scratch_base);
  ChannelMean(s, plan, x, &scratch);
  PlaneStencil(s, plan, scratch.mean, phi + kB1, 1.0f, scratch.plane);
  for (int i = 0; i < plan.area; ++i) Store(scratch.lanes + i * kBlock, V{});

  // a1 beside the four kappa: one load of a neighbour serves all five.
  float taps5[45];
  for (int t = 0; t < 9; ++t) {
    taps5[t * 5] = phi[kA1 + t];
    for (int k = 0; k < 4; ++k) taps5[t * 5 + 1 + k] = phi[kKappa + 9 * k + t];
  }
  for (int g = 0; g < s.groups; ++g) {
    const float* x_group = x + size_t(g) * plan.area * kBlock;
    float* r = scratch.r + g * plan.lanes_padded;
    const V mask = Mask(s, g);
    CopyPadded(s, plan, x_group, scratch.x);
    V total[4] = {};
    const auto keep = [&](int h, int w, V p) {
      const int i = h * s.width + w;
      const V value = Relu(p + scratch.plane[i]) * mask;
      Store(r + PaddedAt(plan, h, w) * kBlock, value);
      Store(scratch.lanes + i * kBlock, Load(scratch.lanes + i * kBlock) + value);
    };
    if (f) {
      ForEachPixel<5>(s, plan, scratch.x, taps5, [&](int h, int w, const V* sum) {
        keep(h, w, sum[0]);
        for (int k = 0; k < 4; ++k) total[k] += Relu(sum[1 + k]);
      });
      for (int k = 0; k < 4; ++k) {
        Store(f + (size_t(k) * s.groups + g) * kBlock, total[k] * (1.0f / plan.area));
      }
    } else {
      ForEachPixel<1>(s, plan, scratch.x, phi + kA1,
                      [&](int h, int w, const V* sum) { keep(h, w, sum[0]); });
    }
  }

  SumLanes(s, plan, scratch.lanes, 1.0f / s.channels, scratch.mean2);
  PlaneStencil(s, plan, scratch.mean2, phi + kB2, 1.0f, scratch.plane);
  for (int g = 0; g < s.groups; ++g) {
    const size_t offset = size_t(g) * plan.area * kBlock;
    const float* epsilon = noise.epsilon ? noise.epsilon + offset : nullptr;
    if (!epsilon && noise.sample) {
      SampleGroup(noise, s, g, scratch.lanes);
      epsilon = scratch.lanes;
    }
    ForEachPixel<1>(s, plan, scratch.r + g * plan.lanes_padded, phi + kA2,
                    [&](int h, int w, const V* sum) {
                      const int i = h * s.width + w;
                      V u = sum[0] + scratch.plane[i];
                      if (epsilon) u += Load(epsilon + i * kBlock);
                      Store(z + offset + i * kBlock, Softplus(u));
                    });
  }
}

void Apply(const ImageShape& s, const float* x, const float* z, const float* scale, float a,
           float clip, float* y) {
  const int area = s.height * s.width;
  for (int g = 0; g < s.groups; ++g) {
    const V as = Load(scale + g * kBlock) * a;
    const size_t offset = size_t(g) * area * kBlock;
    for (int i = 0; i < area; ++i) {
      const size_t at = offset + i * kBlock;
      const V value = Load(x + at) * (as * Load(z + at) + (1.0f - a));
      Store(y + at, value > clip ? Set(clip) : value);  // a NaN stays one
    }
  }
}

// d9[t] = sum over pixels (and lanes) of d[h, w] * in[h + t / 3 - 1, w + t % 3 - 1]
inline void TapGradients(const ImageShape& s, const Plan& plan, const float* d_padded,
                         const float* in_padded, V sum[9]) {
  for (int h = 0; h < s.height; ++h) {
    for (int w = 0; w < s.width; ++w) {
      const V d = Load(d_padded + PaddedAt(plan, h, w) * kBlock);
      const float* at = in_padded + (size_t(h) * plan.stride + w) * kBlock;
#pragma GCC unroll 9
      for (int t = 0; t < 9; ++t) {
        sum[t] += d * Load(at + (t / 3 * plan.stride + t % 3) * kBlock);
      }
    }
  }
}

inline void PlaneTapGradients(const ImageShape& s, const Plan& plan, const float* d_padded,
                              const float* in_padded, float* out) {
  for (int t = 0; t < 9; ++t) {
    float sum = 0;
    for (int h = 0; h < s.height; ++h) {
      for (int w = 0; w < s.width; ++w) {
        sum += d_padded[PaddedAt(plan, h, w)] *
               in_padded[size_t(h + t / 3) * plan.stride + w + t % 3];
      }
    }
    out[t] = sum;
  }
}

void BackwardNoise(const ImageShape& s, const float* phi, const float* x, const float* z,
                   const float* dy, const float* scale, float a, float clip, float* dx, float* ds,
                   float* dphi, float* scratch_base) {
  const Plan plan(s);
  Scratch scratch(s, plan, scratch_base);
  float flipped[9];

  // Through the product; d1 = dL/dmu, lanes = its sum over channels.
  for (int i = 0; i < plan.area; ++i) Store(scratch.lanes + i * kBlock, V{});
  for (int g = 0; g < s.groups; ++g) {
    const size_t offset = size_t(g) * plan.area * kBlock;
    float* d1 = scratch.d1 + g * plan.lanes_padded;
    const V as = Load(scale + g * kBlock) * a;
    V ds_sum{};
    for (int h = 0; h < s.height; ++h) {
      for (int w = 0; w < s.width; ++w) {
        const int i = h * s.width + w;
        const size_t at = offset + i * kBlock;
        const V xv = Load(x + at), zv = Load(z + at);
        const V factor = as * zv + (1.0f - a);
        const V g_out = xv * factor <= clip ? Load(dy + at) : V{};
        const V gx = g_out * xv;
        ds_sum += gx * zv;
        const V d = gx * as * (1.0f - ExpOfNegative(-zv));
        Store(d1 + PaddedAt(plan, h, w) * kBlock, d);
        Store(scratch.lanes + i * kBlock, Load(scratch.lanes + i * kBlock) + d);
        Store(dx + at, g_out * factor);
      }
    }
    Store(ds + g * kBlock, ds_sum * a);
  }
  SumLanes(s, plan, scratch.lanes, 1.0f, scratch.mean2);
  Flip(phi + kB2, flipped);
  // lanes is free again: its head holds the plane of what reaches r through the channel mean.
  float* through_mean2 = scratch.lanes;
  PlaneStencil(s, plan, scratch.mean2, flipped, 1.0f / s.channels, through_mean2);
  float* sums = scratch.dq[0];
  for (int i = 0; i < plan.area; ++i) Store(sums + i * kBlock, V{});

  // d2 = dL/dp, p the argument of the inner ReLU, which is computed again.
  float* d_mean2 = scratch.dq[1];
  for (int i = 0; i < plan.padded; ++i) d_mean2[i] = scratch.mean2[i];
  float* through = scratch.dq[2];
  for (int i = 0; i < plan.area; ++i) through[i] = through_mean2[i];
  ChannelMean(s, plan, x, &scratch);
  PlaneStencil(s, plan, scratch.mean, phi + kB1, 1.0f, scratch.plane);
  float flipped_a2[9];
  Flip(phi + kA2, flipped_a2);
  V sum_a1[9] = {}, sum_a2[9] = {};
  float* r_sums = scratch.dq[3];
  if (dphi) {
    for (int i = 0; i < plan.area; ++i) Store(r_sums + i * kBlock, V{});
  }
  for (int g = 0; g < s.groups; ++g) {
    const size_t offset = size_t(g) * plan.area * kBlock;
    float* r = scratch.r + g * plan.lanes_padded;
    float* d1 = scratch.d1 + g * plan.lanes_padded;
    float* d2 = scratch.d2 + g * plan.lanes_padded;
    const V mask = Mask(s, g);
    CopyPadded(s, plan, x + offset, scratch.x);
    ForEachPixel<1>(s, plan, scratch.x, phi + kA1, [&](int h, int w, const V* sum) {
      const V value = Relu(sum[0] + scratch.plane[h * s.width + w]) * mask;
      Store(r + PaddedAt(plan, h, w) * kBlock, value);
    });
    ForEachPixel<1>(s, plan, d1, flipped_a2, [&](int h, int w, const V* sum) {
      const int i = h * s.width + w;
      const size_t at = PaddedAt(plan, h, w) * kBlock;
      const V d = Load(r + at) > 0.0f ? sum[0] + through[i] : V{};
      Store(d2 + at, d);
      Store(sums + i * kBlock, Load(sums + i * kBlock) + d);
    });
    if (dphi) {
      TapGradients(s, plan, d2, scratch.x, sum_a1);
      TapGradients(s, plan, d1, r, sum_a2);
      for (int h = 0; h < s.height; ++h) {
        for (int w = 0; w < s.width; ++w) {
          float* to = r_sums + (h * s.width + w) * kBlock;
          Store(to, Load(to) + Load(r + PaddedAt(plan, h, w) * kBlock));
        }
      }
    }
  }
  if (dphi) {
    for (int t = 0; t < 9; ++t) {
      dphi[kA1 + t] = Sum(sum_a1[t]);
      dphi[kA2 + t] = Sum(sum_a2[t]);
    }
    // mean2 held the gradient of mu's plane; now it takes mean_c r.
    SumLanes(s, plan, r_sums, 1.0f / s.channels, scratch.mean2);
    PlaneTapGradients(s, plan, d_mean2, scratch.mean2, dphi + kB2);
  }
  SumLanes(s, plan, sums, 1.0f, scratch.mean2);
  if (dphi) PlaneTapGradients(s, plan, scratch.mean2, scratch.mean, dphi + kB1);
  Flip(phi + kB1, flipped);
  PlaneStencil(s, plan, scratch.mean2, flipped, 1.0f / s.channels, scratch.plane);
  Flip(phi + kA1, flipped);
  for (int g = 0; g < s.groups; ++g) {
    float* to = dx + size_t(g) * plan.area * kBlock;
    const V mask = Mask(s, g);
    ForEachPixel<1>(s, plan, scratch.d2 + g * plan.lanes_padded, flipped,
                    [&](int h, int w, const V* sum) {
                      const int i = h * s.width + w;
                      const V add = (sum[0] + scratch.plane[i]) * mask;
                      Store(to + i * kBlock, Load(to + i * kBlock) + add);
                    });
  }
  // dq served as other scratch here: its borders must be zero again for backward_scale.
  for (float* plane : scratch.dq) {
    for (size_t i = 0; i < plan.lanes_padded; i += kBlock) Store(plane + i, V{});
  }
}

void BackwardScale(const ImageShape& s, const float* phi, const float* x, const float* df, float* dx,
                   float* dphi, float* scratch_base) {
  const Plan plan(s);
  Scratch scratch(s, plan, scratch_base);
  float taps[36], flipped[4][9];
  for (int t = 0; t < 9; ++t) {
    for (int k = 0; k < 4; ++k) taps[t * 4 + k] = phi[kKappa + 9 * k + t];
  }
  for (int k = 0; k < 4; ++k) Flip(phi + kKappa + 9 * k, flipped[k]);
  V sum_kappa[4][9] = {};
  for (int g = 0; g < s.groups; ++g) {
    const size_t offset = size_t(g) * plan.area * kBlock;
    CopyPadded(s, plan, x + offset, scratch.x);
    V weight[4];
    for (int k = 0; k < 4; ++k) {
      weight[k] = Load(df + (size_t(k) * s.groups + g) * kBlock) * (1.0f / plan.area);
    }
    ForEachPixel<4>(s, plan, scratch.x, taps, [&](int h, int w, const V* sum) {
      const size_t at = PaddedAt(plan, h, w) * kBlock;
      for (int k = 0; k < 4; ++k) Store(scratch.dq[k] + at, sum[k] > 0.0f ? weight[k] : V{});
    });
    for (int k = 0; k < 4; ++k) {
      ForEachPixel<1>(s, plan, scratch.dq[k], flipped[k], [&](int h, int w, const V* sum) {
        float* to = dx + offset + (h * s.width + w) * kBlock;
        Store(to, Load(to) + sum[0]);
      });
      if (dphi) TapGradients(s, plan, scratch.dq[k], scratch.x, sum_kappa[k]);
    }
  }
  if (!dphi) return;
  for (int k = 0; k < 4; ++k) {
    for (int t = 0; t < 9; ++t) dphi[kKappa + 9 * k + t] = Sum(sum_kappa[k][t]);
  }
}

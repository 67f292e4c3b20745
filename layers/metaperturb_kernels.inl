// The body of metaperturb_kernels.hpp. Each metaperturb_kernels_<isa>.cpp sets kBlock and includes
// this in a namespace of its own, compiled for that instruction set.
//
// Fused: the scale's four stencils end in sums and sign bits, no tensor of theirs is stored; the
// noise is drawn, added, put through softplus and multiplied with x in one pass. Kept for the
// backward pass: z, whose derivative is 1 - e^-z, and one sign bit per ReLU. Sums over pixels are
// formed in float, one image and channel at a time.

// Of kCounters * 4 pixels from pixel i on, as far as there are some.
template <int kCounters>
inline void SamplePixels(const NoiseSource& noise, VU channel, int i, int area, float* epsilon) {
  const VU pass_low = static_cast<uint32_t>(noise.pass) - VU{};
  const VU pass_high = static_cast<uint32_t>(noise.pass >> 32) - VU{};
  uint32_t counters[kCounters];
  for (int n = 0; n < kCounters; ++n) counters[n] = static_cast<uint32_t>(i / 4 + n);
  VU bits[kCounters][4];
  PhiloxBlocks<kCounters>(noise.key, counters, channel, pass_low, pass_high, bits);
#pragma GCC unroll 2
  for (int n = 0; n < kCounters; ++n) {
    V normal[4];
    NormalPair(bits[n][0], bits[n][1], &normal[0], &normal[1]);
    NormalPair(bits[n][2], bits[n][3], &normal[2], &normal[3]);
    for (int j = 0; j < 4 && i + 4 * n + j < area; ++j) {
      Store(epsilon + (i + 4 * n + j) * kBlock, normal[j]);
    }
  }
}

void SampleGroup(const NoiseSource& noise, const ImageShape& s, int group, float* epsilon) {
  VU channel{};
  for (int l = 0; l < kBlock; ++l) channel[l] = noise.image * s.channels + group * kBlock + l;
  const int area = s.height * s.width;
  int i = 0;
  for (; i + 4 < area; i += 8) SamplePixels<2>(noise, channel, i, area, epsilon);
  if (i < area) SamplePixels<1>(noise, channel, i, area, epsilon);
}

// taps[t * 4 + k] = kappa_k[t]
inline void InterleaveKappa(const float* phi, float taps[36]) {
  for (int t = 0; t < 9; ++t) {
    for (int k = 0; k < 4; ++k) taps[t * 4 + k] = phi[kKappa + 9 * k + t];
  }
}

void Statistics(const ImageShape& s, const float* phi, const float* x, float* f, void* signs,
                float* scratch_base) {
  const Plan plan(s);
  Scratch scratch(s, plan, scratch_base);
  float taps[36];
  InterleaveKappa(phi, taps);
  Bits* to = static_cast<Bits*>(signs);
  for (int g = 0; g < s.groups; ++g) {
    CopyPadded(s, plan, x + size_t(g) * plan.area * kBlock, scratch.x);
    V total[4] = {};
    ForEachFour(s, plan, scratch.x, taps, [&](int, int, const V* sum) {
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) to[k] = AddPositive(sum[k], &total[k]);
      to += 4;
    });
    for (int k = 0; k < 4; ++k) {
      Store(f + (size_t(k) * s.groups + g) * kBlock, total[k] * (1.0f / plan.area));
    }
  }
}

// r = ReLU(Op(x; a1, b1)) of one group, given b1's plane; padded. Lanes beyond the channels stay 0.
// `signs`, unless null, are r's.
inline void ComputeR(const ImageShape& s, const Plan& plan, int group, const float* phi,
                     const Scratch& scratch, Bits* signs) {
  const V mask = Mask(s, group);
  float* r = scratch.r + group * plan.lanes_padded;
  ForEachSum(s, plan, scratch.x, phi + kA1, [&](int h, int w, V sum) {
    const int i = h * s.width + w;
    const V value = Relu(sum + scratch.plane[i]) * mask;
    Store(r + PaddedAt(plan, h, w) * kBlock, value);
    if (signs) signs[i] = PositiveBits(value);
  });
}

void Perturb(const ImageShape& s, const float* phi, const float* x, const NoiseSource& noise,
             const Output<float>& output, float* z, float* y, void* signs, float* scratch_base) {
  const Plan plan(s);
  Scratch scratch(s, plan, scratch_base);
  Bits* r_signs = static_cast<Bits*>(signs);
  ChannelMean(s, plan, x, scratch.padded[0]);
  PlaneStencil(s, plan, scratch.padded[0], phi + kB1, 1.0f, scratch.plane);
  for (int g = 0; g < s.groups; ++g) {
    CopyPadded(s, plan, x + size_t(g) * plan.area * kBlock, scratch.x);
    ComputeR(s, plan, g, phi, scratch, r_signs ? r_signs + size_t(g) * plan.area : nullptr);
  }
  SumPadded(s, plan, scratch.r, 1.0f / s.channels, scratch.padded[1]);
  PlaneStencil(s, plan, scratch.padded[1], phi + kB2, 1.0f, scratch.plane);
  // Copies that no store can change spare reading them again after each.
  const float rest = 1.0f - output.a, clip = output.clip, slope = output.slope;
  const int width = s.width;
  const float* plane = scratch.plane;
  for (int g = 0; g < s.groups; ++g) {
    const size_t offset = size_t(g) * plan.area * kBlock;
    const float* epsilon = noise.epsilon ? noise.epsilon + offset : nullptr;
    if (!epsilon && noise.sample) {
      SampleGroup(noise, s, g, scratch.epsilon);
      epsilon = scratch.epsilon;
    }
    const V as = Load(output.s + g * kBlock) * output.a;
    ForEachSum(s, plan, scratch.r + g * plan.lanes_padded, phi + kA2, [&](int h, int w, V sum) {
      const int i = h * width + w;
      const size_t at = offset + i * kBlock;
      V u = sum + plane[i];
      if (epsilon) u += Load(epsilon + i * kBlock);
      const V zv = Softplus(u);
      Store(z + at, zv);
      const V t = Load(x + at) * (as * zv + rest);
      const V limited = t > clip ? Set(clip) : t;  // a NaN stays one
      Store(y + at, limited > 0.0f ? limited : limited * slope);
    });
  }
}

// Through the product: dx = dy times x's factor; d1 = dL/dmu, padded.
inline void ProductGradient(const ImageShape& s, const Plan& plan, const Output<float>& output,
                            const float* x, const float* z, const float* dy, float* dx, float* ds,
                            const Scratch& scratch) {
  const float rest = 1.0f - output.a, clip = output.clip, slope = output.slope;
  for (int g = 0; g < s.groups; ++g) {
    const size_t offset = size_t(g) * plan.area * kBlock;
    float* d1 = scratch.d1 + g * plan.lanes_padded;
    const V as = Load(output.s + g * kBlock) * output.a;
    V ds_sum{};
    for (int h = 0; h < s.height; ++h) {
      for (int w = 0; w < s.width; ++w) {
        const size_t at = offset + (h * s.width + w) * kBlock;
        const V xv = Load(x + at), zv = Load(z + at);
        const V factor = as * zv + rest;
        const V t = xv * factor;
        const V g_in = Load(dy + at);
        const V g_out = t <= clip ? (t > 0.0f ? g_in : g_in * slope) : V{};
        const V gx = g_out * xv;
        ds_sum += gx * zv;
        const V d = gx * as * (1.0f - ExpOfNegative(-zv));
        Store(d1 + PaddedAt(plan, h, w) * kBlock, d);
        Store(dx + at, g_out * factor);
      }
    }
    Store(ds + g * kBlock, ds_sum * output.a);
  }
}

// r and the gradients of a1 and a2, from d1 and d2.
inline void SetGradients(const ImageShape& s, const Plan& plan, const float* phi, const float* x,
                         const Scratch& scratch, float* dphi) {
  V sum_a1[9] = {}, sum_a2[9] = {};
  for (int g = 0; g < s.groups; ++g) {
    CopyPadded(s, plan, x + size_t(g) * plan.area * kBlock, scratch.x);
    ComputeR(s, plan, g, phi, scratch, nullptr);
    const auto at = [&](const float* padded) {
      return [&plan, padded](int h, int w) { return Load(padded + PaddedAt(plan, h, w) * kBlock); };
    };
    TapGradients(s, plan, at(scratch.d2 + g * plan.lanes_padded), scratch.x, sum_a1);
    TapGradients(s, plan, at(scratch.d1 + g * plan.lanes_padded), scratch.r + g * plan.lanes_padded,
                 sum_a2);
  }
  for (int t = 0; t < 9; ++t) {
    dphi[kA1 + t] = Sum(sum_a1[t]);
    dphi[kA2 + t] = Sum(sum_a2[t]);
  }
}

void BackwardNoise(const ImageShape& s, const float* phi, const float* x, const float* z,
                   const float* dy, const Output<float>& output, const void* signs, float* dx,
                   float* ds, float* dphi, float* scratch_base) {
  const Plan plan(s);
  Scratch scratch(s, plan, scratch_base);
  const Bits* r_signs = static_cast<const Bits*>(signs);
  float *d_mean2 = scratch.padded[0], *d_mean1 = scratch.padded[1], *mean = scratch.padded[2];
  float flipped_a1[9], flipped_b1[9], flipped_a2[9], flipped_b2[9];
  Flip(phi + kA1, flipped_a1);
  Flip(phi + kB1, flipped_b1);
  Flip(phi + kA2, flipped_a2);
  Flip(phi + kB2, flipped_b2);

  ProductGradient(s, plan, output, x, z, dy, dx, ds, scratch);
  SumPadded(s, plan, scratch.d1, 1.0f, d_mean2);
  PlaneStencil(s, plan, d_mean2, flipped_b2, 1.0f / s.channels, scratch.plane);

  // d2: the gradient of the inner ReLU's argument.
  for (int g = 0; g < s.groups; ++g) {
    float* d2 = scratch.d2 + g * plan.lanes_padded;
    ForEachSum(s, plan, scratch.d1 + g * plan.lanes_padded, flipped_a2, [&](int h, int w, V sum) {
      const int i = h * s.width + w;
      const V d = Select(r_signs[size_t(g) * plan.area + i], sum + scratch.plane[i]);
      Store(d2 + PaddedAt(plan, h, w) * kBlock, d);
    });
  }
  SumPadded(s, plan, scratch.d2, 1.0f, d_mean1);
  if (dphi) {
    ChannelMean(s, plan, x, mean);
    PlaneStencil(s, plan, mean, phi + kB1, 1.0f, scratch.plane);
    PlaneTapGradients(s, plan, d_mean1, mean, dphi + kB1);
    SetGradients(s, plan, phi, x, scratch, dphi);
    SumPadded(s, plan, scratch.r, 1.0f / s.channels, mean);
    PlaneTapGradients(s, plan, d_mean2, mean, dphi + kB2);
  }
  PlaneStencil(s, plan, d_mean1, flipped_b1, 1.0f / s.channels, scratch.plane);
  for (int g = 0; g < s.groups; ++g) {
    float* to = dx + size_t(g) * plan.area * kBlock;
    const V mask = Mask(s, g);
    ForEachSum(s, plan, scratch.d2 + g * plan.lanes_padded, flipped_a1, [&](int h, int w, V sum) {
      const int i = h * s.width + w;
      Store(to + i * kBlock, Load(to + i * kBlock) + (sum + scratch.plane[i]) * mask);
    });
  }
}

// The gradient dq_k of kappa_k's stencil is df / area where the stencil was positive. Three rows of
// it are enough to add their transposed stencils to dx.
void BackwardScale(const ImageShape& s, const float* phi, const float* x, const void* signs,
                   const float* df, float* dx, float* dphi, float* scratch_base) {
  const Plan plan(s);
  Scratch scratch(s, plan, scratch_base);
  const Bits* bits = static_cast<const Bits*>(signs);
  float flipped[36];
  for (int k = 0; k < 4; ++k) Flip(phi + kKappa + 9 * k, flipped + 9 * k);
  V sum_kappa[4][9] = {};
  const size_t row_size = size_t(plan.stride) * 4 * kBlock;
  for (int g = 0; g < s.groups; ++g) {
    V weight[4];
    for (int k = 0; k < 4; ++k) {
      weight[k] = Load(df + (size_t(k) * s.groups + g) * kBlock) * (1.0f / plan.area);
    }
    const Bits* group_bits = bits + size_t(g) * plan.area * 4;
    const auto fill = [&](int h, float* row) {
      if (h >= s.height) return SetZero(row, row_size);
      const Bits* from = group_bits + size_t(h) * s.width * 4;
      for (int w = 0; w < s.width; ++w) {
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) {
          Store(row + ((w + 1) * 4 + k) * kBlock, Select(from[w * 4 + k], weight[k]));
        }
      }
    };
    float* rows[3] = {scratch.rows[0], scratch.rows[1], scratch.rows[2]};
    SetZero(rows[0], row_size);
    fill(0, rows[1]);
    float* to = dx + size_t(g) * plan.area * kBlock;
    for (int h = 0; h < s.height; ++h) {
      fill(h + 1, rows[2]);
      ForEachSumInRow<4>(h, s.width, rows, flipped, [&](int, int, V sum) {
        Store(to, Load(to) + sum);
        to += kBlock;
      });
      float* oldest = rows[0];
      rows[0] = rows[1];
      rows[1] = rows[2];
      rows[2] = oldest;
    }
    if (!dphi) continue;
    CopyPadded(s, plan, x + size_t(g) * plan.area * kBlock, scratch.x);
    const int width = s.width;
    for (int k = 0; k < 4; ++k) {
      const V own = weight[k];
      const Bits* of_k = group_bits + k;
      TapGradients(
          s, plan, [=](int h, int w) { return Select(of_k[size_t(h * width + w) * 4], own); },
          scratch.x, sum_kappa[k]);
    }
  }
  if (!dphi) return;
  for (int k = 0; k < 4; ++k) {
    for (int t = 0; t < 9; ++t) dphi[kKappa + 9 * k + t] = Sum(sum_kappa[k][t]);
  }
}

template <V (*function)(V)>
void ForEachElement(size_t size, const float* x, float* y) {
  for (size_t i = 0; i < size; i += kBlock) Store(y + i, function(Load(x + i)));
}

const Kernels kKernels = {kBlock,
                          ISA_NAME,
                          sizeof(Bits),
                          ScratchSize,
                          Statistics,
                          Perturb,
                          BackwardNoise,
                          BackwardScale,
                          SampleGroup,
                          ForEachElement<Exp>,
                          ForEachElement<Logistic>,
                          ForEachElement<LogOfFraction>};

// 3x3 stencils on one image in channel blocks: what metaperturb_kernels.inl is built from. Arrays
// with a border of one zero pixel ("padded") spare the stencils every test at the edges.

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
    for (float*& row : rows) row = take(size_t(p.stride) * 4 * kBlock);
    r = take(p.lanes_padded * s.groups);
    d1 = take(p.lanes_padded * s.groups);
    d2 = take(p.lanes_padded * s.groups);
    epsilon = take(size_t(p.area) * kBlock);
    for (float*& plane : padded) plane = take(p.padded);
    plane = take(p.area);
    end = base;
  }
  // Padded: x of one group, three rows of four interleaved planes, and r and the gradients d1, d2
  // of all groups. `padded` are planes without channels.
  float *x, *rows[3], *r, *d1, *d2;
  float *epsilon, *padded[3], *plane, *end;
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

// kKernels cross-correlations at kPixels neighbouring pixels: `at` points to the first pixel's
// upper left neighbour in a padded block plane; taps[t * kKernels + j] is tap t of kernel j.
template <int kPixels, int kKernels>
inline void Stencils(const float* at, int stride, const float* taps, V sum[kPixels][kKernels]) {
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

// One sum per pixel, over kPlanes planes that are interleaved pixel by pixel: rows[u] points to the
// first pixel's neighbours in row u; taps[9 * k + t] is tap t of plane k. Column by column, so that
// the first pixel's sum is there while the others' are computed.
template <int kPixels, int kPlanes>
inline void SumByColumns(const float* const rows[3], const float* taps, V sum[kPixels]) {
  for (int p = 0; p < kPixels; ++p) sum[p] = V{};
#pragma GCC unroll 3
  for (int u = 0; u < 3; ++u) {
#pragma GCC unroll 4
    for (int k = 0; k < kPlanes; ++k) {
      const float* of_row = taps + 9 * k + 3 * u;
      const V tap[3] = {Set(of_row[0]), Set(of_row[1]), Set(of_row[2])};
#pragma GCC unroll 10
      for (int column = 0; column < kPixels + 2; ++column) {
        const V in = InRegister(Load(rows[u] + (column * kPlanes + k) * kBlock));
#pragma GCC unroll 3
        for (int v = 0; v < 3; ++v) {
          if (column - v >= 0 && column - v < kPixels) sum[column - v] += in * tap[v];
        }
      }
    }
  }
}

// The same tap by tap, which is faster where the terms are many: a register is added to again after
// eight others, as long as a multiply-add takes, two of them at a time.
template <int kPixels, int kPlanes>
inline void SumByTaps(const float* const rows[3], const float* taps, V sum[kPixels]) {
  V other[kPixels];
  for (int p = 0; p < kPixels; ++p) sum[p] = other[p] = V{};
#pragma GCC unroll 3
  for (int u = 0; u < 3; ++u) {
#pragma GCC unroll 4
    for (int k = 0; k < kPlanes; ++k) {
      V in[kPixels + 2];
#pragma GCC unroll 10
      for (int column = 0; column < kPixels + 2; ++column) {
        in[column] = InRegister(Load(rows[u] + (column * kPlanes + k) * kBlock));
      }
#pragma GCC unroll 3
      for (int v = 0; v < 3; ++v) {
        const V tap = InRegister(Set(taps[9 * k + 3 * u + v]));
        V* to = kPixels < 8 && v == 1 ? other : sum;
#pragma GCC unroll 8
        for (int p = 0; p < kPixels; ++p) to[p] += in[p + v] * tap;
      }
    }
  }
  for (int p = 0; kPixels < 8 && p < kPixels; ++p) sum[p] += other[p];
}

// Runs body(h, w, sum) over the pixels of one row, as many at a time as registers hold.
template <int kPlanes, class Body>
inline void ForEachSumInRow(int h, int width, const float* const rows[3], const float* taps,
                            const Body& body) {
  const bool by_taps = kPlanes > 1 && kRegisters >= 16;
  const int kWide = by_taps ? kRegisters / 4 : 8;
  const float* at[3] = {rows[0], rows[1], rows[2]};
  const auto advance = [&at](int pixels) {
    for (const float*& row : at) row += size_t(pixels) * kPlanes * kBlock;
  };
  int w = 0;
  for (; w + kWide <= width; w += kWide) {
    V sum[kWide];
    if constexpr (by_taps) {
      SumByTaps<kWide, kPlanes>(at, taps, sum);
    } else {
      SumByColumns<kWide, kPlanes>(at, taps, sum);
    }
#pragma GCC unroll 8
    for (int p = 0; p < kWide; ++p) body(h, w + p, sum[p]);
    advance(kWide);
  }
  for (; w < width; ++w) {
    V sum[1];
    SumByColumns<1, kPlanes>(at, taps, sum);
    body(h, w, sum[0]);
    advance(1);
  }
}

// The same over all pixels of a padded block plane.
template <class Body>
inline void ForEachSum(const ImageShape& s, const Plan& plan, const float* padded,
                       const float* taps, const Body& body) {
  for (int h = 0; h < s.height; ++h) {
    const float* first = padded + size_t(h) * plan.stride * kBlock;
    const float* rows[3] = {first, first + plan.stride * kBlock, first + 2 * plan.stride * kBlock};
    ForEachSumInRow<1>(h, s.width, rows, taps, body);
  }
}

// Runs body(h, w, sums of four kernels) over all pixels, as many at a time as registers hold.
template <class Body>
inline void ForEachFour(const ImageShape& s, const Plan& plan, const float* padded,
                        const float* taps, const Body& body) {
  const int kWide = kBlock == 16 ? 4 : 2;
  for (int h = 0; h < s.height; ++h) {
    const float* row = padded + size_t(h) * plan.stride * kBlock;
    int w = 0;
    for (; w + kWide <= s.width; w += kWide) {
      V sum[kWide][4];
      Stencils<kWide, 4>(row + w * kBlock, plan.stride, taps, sum);
#pragma GCC unroll 4
      for (int p = 0; p < kWide; ++p) body(h, w + p, sum[p]);
    }
    for (; w < s.width; ++w) {
      V sum[1][4];
      Stencils<1, 4>(row + w * kBlock, plan.stride, taps, sum);
      body(h, w, sum[0]);
    }
  }
}

// The same for a plane without channels.
inline void PlaneStencil(const ImageShape& s, const Plan& plan, const float* __restrict padded,
                         const float* taps, float scale, float* __restrict out) {
  float scaled[9];
  for (int t = 0; t < 9; ++t) scaled[t] = taps[t] * scale;
  for (int h = 0; h < s.height; ++h) {
    const float* in = padded + h * plan.stride;
    float* row = out + h * s.width;
    for (int w = 0; w < s.width; ++w) {
      float sum = 0;
#pragma GCC unroll 9
      for (int t = 0; t < 9; ++t) sum += scaled[t] * in[t / 3 * plan.stride + w + t % 3];
      row[w] = sum;
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

// padded[h][w] = scale * (sum over the groups and lanes of block[h][w]); a group's plane is
// group_step floats behind the one before, a row row_step.
inline void SumChannels(const ImageShape& s, const Plan& plan, const float* block,
                        size_t group_step, size_t row_step, float scale, float* padded) {
  const auto over_groups = [&](const float* at) {
    V sum = Load(at);
    for (int g = 1; g < s.groups; ++g) sum += Load(at + g * group_step);
    return sum;
  };
  for (int h = 0; h < s.height; ++h) {
    const float* from = block + h * row_step;
    float* to = padded + PaddedAt(plan, h, 0);
    int w = 0;
    for (; w + 4 <= s.width; w += 4, from += 4 * kBlock) {
      const V ab = PairSums(over_groups(from), over_groups(from + kBlock));
      const V cd = PairSums(over_groups(from + 2 * kBlock), over_groups(from + 3 * kBlock));
      const V sums = PairSums(ab, cd) * scale;  // of four lanes each: a b c d, a b c d, ...
      for (int p = 0; p < 4; ++p) {
        to[w + p] = kBlock == 8
                        ? sums[p] + sums[p + 4]
                        : (sums[p] + sums[p + 4]) + (sums[p + 8 % kBlock] + sums[p + 12 % kBlock]);
      }
    }
    for (; w < s.width; ++w, from += kBlock) to[w] = scale * Sum(over_groups(from));
  }
}

// The same of padded block planes.
inline void SumPadded(const ImageShape& s, const Plan& plan, const float* blocks, float scale,
                      float* padded) {
  SumChannels(s, plan, blocks + PaddedAt(plan, 0, 0) * kBlock, plan.lanes_padded,
              size_t(plan.stride) * kBlock, scale, padded);
}

inline void SetZero(float* to, size_t floats) {
  for (size_t i = 0; i < floats; i += kBlock) Store(to + i, V{});
}

// mean_c x, padded.
inline void ChannelMean(const ImageShape& s, const Plan& plan, const float* x, float* padded) {
  SumChannels(s, plan, x, size_t(plan.area) * kBlock, size_t(s.width) * kBlock, 1.0f / s.channels,
              padded);
}

// sum[t] += sum over pixels of d(h, w) * in[h + t / 3 - 1, w + t % 3 - 1], lane by lane
template <class Gradient>
inline void TapGradients(const ImageShape& s, const Plan& plan, const Gradient& d,
                         const float* in_padded, V sum[9]) {
  // Copies that no store can change stay in registers.
  V own[9];
#pragma GCC unroll 9
  for (int t = 0; t < 9; ++t) own[t] = sum[t];
  const int width = s.width, stride = plan.stride;
  for (int h = 0; h < s.height; ++h) {
    const float* at = in_padded + size_t(h) * stride * kBlock;
    for (int w = 0; w < width; ++w, at += kBlock) {
      const V gradient = d(h, w);
#pragma GCC unroll 9
      for (int t = 0; t < 9; ++t) {
        own[t] += gradient * Load(at + (t / 3 * stride + t % 3) * kBlock);
      }
    }
  }
#pragma GCC unroll 9
  for (int t = 0; t < 9; ++t) sum[t] = own[t];
}

inline void PlaneTapGradients(const ImageShape& s, const Plan& plan, const float* d_padded,
                              const float* in_padded, float* out) {
  for (int t = 0; t < 9; ++t) {
    float sum = 0;
    for (int h = 0; h < s.height; ++h) {
      for (int w = 0; w < s.width; ++w) {
        sum +=
            d_padded[PaddedAt(plan, h, w)] * in_padded[size_t(h + t / 3) * plan.stride + w + t % 3];
      }
    }
    out[t] = sum;
  }
}

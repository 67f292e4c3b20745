// Included once per instruction set, inside that file's own namespace, after kBlock (floats of a
// vector) and kRows (tiles whose products are held in registers at once).

#include "caffe/layers/winograd_transforms.inl"

// ---- products ----

// m = v u for kRows tiles and kVectors groups of outputs: v kRows x C, u C x kVectors vectors.
template <int kVectors>
inline void Products(const float* v, size_t v_stride, const float* u, int channels, float* m,
                     size_t m_stride) {
  V sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) sum[r][j] = V{};
  }
  for (int c = 0; c < channels; ++c) {
    V w[kVectors];
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) w[j] = Load(u + (c * kVectors + j) * kBlock);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const V x = Set(v[r * v_stride + c]);
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) sum[r][j] += x * w[j];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) Store(m + r * m_stride + j * kBlock, sum[r][j]);
  }
}

constexpr int kSumRows = kBlock / 2;  // input channels whose sums are held in registers at once

// sums += v^T z over the tiles, for kSumRows input channels and kVectors groups of outputs.
template <int kVectors>
inline void Sums(const float* v, size_t v_stride, const float* z, size_t z_stride, int tiles,
                 float* sums, size_t stride) {
  V sum[kSumRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kSumRows; ++r) {
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) sum[r][j] = Load(sums + r * stride + j * kBlock);
  }
  for (int t = 0; t < tiles; ++t) {
    V y[kVectors];
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) y[j] = Load(z + t * z_stride + j * kBlock);
#pragma GCC unroll 8
    for (int r = 0; r < kSumRows; ++r) {
      const V x = Set(v[t * v_stride + r]);
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) sum[r][j] += x * y[j];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kSumRows; ++r) {
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) Store(sums + r * stride + j * kBlock, sum[r][j]);
  }
}

inline int RoundUp(int n) {
  return (n + kRows - 1) / kRows * kRows;
}

// ---- the entries of the table ----

template <int kTile>
void TransformWeights(const float* weights, int channels_out, int channels_in, ptrdiff_t stride_k,
                      ptrdiff_t stride_c, bool flip, int panel, float* transformed) {
  constexpr int kIn = kTile + 2;
  const int in = (channels_in + kBlock - 1) / kBlock * kBlock;
  const int groups = (channels_out + kBlock - 1) / kBlock;
  const size_t position = size_t(in) * groups * kBlock;
  const int first = panel * kPanel;
  const int width = groups - first < kPanel ? groups - first : kPanel;
  float* out = transformed + size_t(first) * kBlock * in;
  for (int c = 0; c < in; ++c) {
    for (int j = 0; j < width; ++j) {
      float w[9][kBlock] __attribute__((aligned(64))) = {};
      for (int l = 0; l < kBlock; ++l) {
        const int k = (first + j) * kBlock + l;
        if (k >= channels_out || c >= channels_in) break;
        const float* from = weights + k * stride_k + c * stride_c;
        for (int i = 0; i < 9; ++i) w[i][l] = from[flip ? 8 - i : i];
      }
      V t[3][kIn];
      for (int r = 0; r < 3; ++r) {
        const V row[3] = {Load(w[r * 3]), Load(w[r * 3 + 1]), Load(w[r * 3 + 2])};
        Axis<kTile>::Weights(row, t[r]);
      }
      for (int x = 0; x < kIn; ++x) {
        const V column[3] = {t[0][x], t[1][x], t[2][x]};
        V u[kIn];
        Axis<kTile>::Weights(column, u);
        for (int r = 0; r < kIn; ++r) {
          Store(out + (r * kIn + x) * position + (size_t(c) * width + j) * kBlock, u[r]);
        }
      }
    }
  }
}

template <int kTile>
size_t ConvolveScratch(int in_groups, int out_groups, int tiles) {
  const int rows = RoundUp(tiles);
  return Positions(kTile) *
         (PositionStride(in_groups * kBlock, rows) + PositionStride(out_groups * kBlock, rows));
}

template <int kTile>
void Convolve(const WinogradShape& s, const float* src, const float* transformed, const float* bias,
              int begin, int end, float* scratch, float* dst) {
  const int in = s.in_groups * kBlock, out = s.out_groups * kBlock;
  const int rows = RoundUp(end - begin);
  const size_t v_tile = TileStride(in), m_tile = TileStride(out);
  const size_t v_stride = PositionStride(in, rows), m_stride = PositionStride(out, rows);
  float* m = scratch + Positions(kTile) * v_stride;
  InputTiles<kTile>(s, src, begin, end, scratch, v_tile, v_stride);
  for (int p = 0; p < Positions(kTile); ++p) {
    const float* u = transformed + size_t(p) * in * out;
    const float* v = scratch + p * v_stride;
    for (int g = 0; g < s.out_groups; g += kPanel) {
      const float* panel = u + size_t(g) * kBlock * in;
      float* to = m + p * m_stride + g * kBlock;
      for (int t = 0; t < rows; t += kRows) {
        if (s.out_groups - g >= kPanel) {
          Products<kPanel>(v + t * v_tile, v_tile, panel, in, to + t * m_tile, m_tile);
        } else {
          Products<1>(v + t * v_tile, v_tile, panel, in, to + t * m_tile, m_tile);
        }
      }
    }
  }
  const size_t plane = size_t(s.out_h) * s.out_w * kBlock;
  for (int g = 0; g < s.out_groups; ++g) {
    V b = {};
    if (bias) std::memcpy(&b, bias + g * kBlock, sizeof b);
    ForTiles<kTile>(s, begin, end, [&](int t, int n, int row, int column) {
      OutputTile<kTile>(m + t * m_tile + g * kBlock, m_stride, b, s.out_h, s.out_w, row * kTile,
                        column * kTile, dst + (size_t(n) * s.out_groups + g) * plane);
    });
  }
}

template <int kTile>
size_t GradientScratch(int in_groups, int out_groups, int tiles) {
  return Positions(kTile) *
         (PositionStride(in_groups * kBlock, tiles) + PositionStride(out_groups * kBlock, tiles));
}

template <int kTile>
void Gradient(const WinogradShape& s, const float* src, const float* dst_diff, int first_group,
              int last_group, int begin, int end, float* scratch, float* sums) {
  const int in = s.in_groups * kBlock, groups = last_group - first_group, out = groups * kBlock;
  const int tiles = end - begin;
  const size_t v_tile = TileStride(in), z_tile = TileStride(out);
  const size_t v_stride = PositionStride(in, tiles), z_stride = PositionStride(out, tiles);
  float* z = scratch + Positions(kTile) * v_stride;
  InputTiles<kTile>(s, src, begin, end, scratch, v_tile, v_stride);
  const size_t plane = size_t(s.out_h) * s.out_w * kBlock;
  for (int g = 0; g < groups; ++g) {
    ForTiles<kTile>(s, begin, end, [&](int t, int n, int row, int column) {
      OutputDiffTile<kTile>(dst_diff + (size_t(n) * s.out_groups + first_group + g) * plane,
                            s.out_h, s.out_w, row * kTile, column * kTile,
                            z + t * z_tile + g * kBlock, z_stride);
    });
  }
  for (int p = 0; p < Positions(kTile); ++p) {
    for (int g = 0; g < groups; g += kPanel) {
      const float* y = z + p * z_stride + g * kBlock;
      for (int c = 0; c < in; c += kSumRows) {
        const float* v = scratch + p * v_stride + c;
        float* to = sums + (size_t(p) * in + c) * out + g * kBlock;
        if (groups - g >= kPanel) {
          Sums<kPanel>(v, v_tile, y, z_tile, tiles, to, out);
        } else {
          Sums<1>(v, v_tile, y, z_tile, tiles, to, out);
        }
      }
    }
  }
}

template <int kTile>
void AddGradient(const float* sums, int count, size_t distance, int channels_out, int channels_in,
                 int first_group, int last_group, int first_in, int last_in, float* weights_diff) {
  constexpr int kIn = kTile + 2;
  const int in = (channels_in + kBlock - 1) / kBlock * kBlock;
  const int out = (last_group - first_group) * kBlock;
  for (int c = first_in; c < last_in; ++c) {
    for (int g = first_group; g < last_group; ++g) {
      V t[3][kIn];
      for (int x = 0; x < kIn; ++x) {
        V u[kIn], w[3];
        for (int r = 0; r < kIn; ++r) {
          const float* from =
              sums + (size_t(r * kIn + x) * in + c) * out + (g - first_group) * kBlock;
          u[r] = Load(from);
          for (int i = 1; i < count; ++i) u[r] += Load(from + i * distance);
        }
        Axis<kTile>::WeightsDiff(u, w);
        for (int r = 0; r < 3; ++r) t[r][x] = w[r];
      }
      float result[9][kBlock] __attribute__((aligned(64)));
      for (int r = 0; r < 3; ++r) {
        V w[3];
        Axis<kTile>::WeightsDiff(t[r], w);
        for (int i = 0; i < 3; ++i) Store(result[r * 3 + i], w[i]);
      }
      for (int l = 0; l < kBlock && g * kBlock + l < channels_out; ++l) {
        float* to = weights_diff + (size_t(g * kBlock + l) * channels_in + c) * 9;
        for (int i = 0; i < 9; ++i) to[i] += result[i][l];
      }
    }
  }
}

template <int kTile>
constexpr WinogradKernels Table() {
  return {kBlock,
          kRows,
          TransformWeights<kTile>,
          ConvolveScratch<kTile>,
          GradientScratch<kTile>,
          Convolve<kTile>,
          Gradient<kTile>,
          AddGradient<kTile>};
}

const WinogradKernels kKernels2 = Table<2>(), kKernels4 = Table<4>();

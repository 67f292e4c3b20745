// Included once per instruction set, inside that file's own namespace, after kBlock (floats of a
// vector) and kRows (tiles whose products are held in registers at once).

constexpr int Positions(int tile) {
  return (tile + 2) * (tile + 2);
}
constexpr int kPanel = kWinogradPanel;

typedef float V __attribute__((vector_size(4 * kBlock), may_alias));

inline V Load(const float* p) {
  return *reinterpret_cast<const V*>(p);
}
inline void Store(float* p, V v) {
  *reinterpret_cast<V*>(p) = v;
}
inline V Set(float f) {
  return f - V{};
}

// Distance between two tiles, and between two positions: not a multiple of a page, since the same
// offset in many pages falls into the same few lines of the cache.
inline size_t TileStride(int channels) {
  return channels + (channels % 128 == 0 ? 16 : 0);
}
inline size_t PositionStride(int channels, int tiles) {
  return TileStride(channels) * tiles + 16;
}

// ---- transforms along one axis, of tiles of kTile outputs ----

template <int kTile>
struct Axis;

// Evaluation points 0, +-a, +-b, infinity with a^2 = 1/2, b^2 = 2: their rounding error is that of
// a direct sum, a quarter of what the customary 0, +-1, +-2 give.
template <>
struct Axis<4> {
  static constexpr float kA = 0.70710678f, kB = 1.41421356f;

  static inline void Input(const V d[6], V v[6]) {  // B^T d
    const V even_a = d[4] - 2.0f * d[2], odd_a = kA * (d[3] - 2.0f * d[1]);
    const V even_b = d[4] - 0.5f * d[2], odd_b = kB * (d[3] - 0.5f * d[1]);
    v[0] = d[0] - 2.5f * d[2] + d[4];
    v[1] = even_a + odd_a;
    v[2] = even_a - odd_a;
    v[3] = even_b + odd_b;
    v[4] = even_b - odd_b;
    v[5] = d[1] - 2.5f * d[3] + d[5];
  }
  static inline void Output(const V m[6], V y[4]) {  // A^T m
    const V sum_a = m[1] + m[2], sum_b = m[3] + m[4];
    const V dif_a = kA * (m[1] - m[2]), dif_b = kB * (m[3] - m[4]);
    y[0] = m[0] + sum_a + sum_b;
    y[1] = dif_a + dif_b;
    y[2] = 0.5f * sum_a + 2.0f * sum_b;
    y[3] = 0.5f * dif_a + 2.0f * dif_b + m[5];
  }
  static inline void OutputDiff(const V y[4], V z[6]) {  // A y
    const V even_a = y[0] + 0.5f * y[2], odd_a = kA * (y[1] + 0.5f * y[3]);
    const V even_b = y[0] + 2.0f * y[2], odd_b = kB * (y[1] + 2.0f * y[3]);
    z[0] = y[0];
    z[1] = even_a + odd_a;
    z[2] = even_a - odd_a;
    z[3] = even_b + odd_b;
    z[4] = even_b - odd_b;
    z[5] = y[3];
  }
  static inline void Weights(const V w[3], V u[6]) {  // G w
    const V even_a = (-2.0f / 3) * w[0] - (1.0f / 3) * w[2], odd_a = (-2.0f / 3) * kA * w[1];
    const V even_b = (1.0f / 6) * w[0] + (1.0f / 3) * w[2], odd_b = (1.0f / 6) * kB * w[1];
    u[0] = w[0];
    u[1] = even_a + odd_a;
    u[2] = even_a - odd_a;
    u[3] = even_b + odd_b;
    u[4] = even_b - odd_b;
    u[5] = w[2];
  }
  static inline void WeightsDiff(const V u[6], V w[3]) {  // G^T u
    const V sum_a = u[1] + u[2], sum_b = u[3] + u[4];
    w[0] = u[0] - (2.0f / 3) * sum_a + (1.0f / 6) * sum_b;
    w[1] = (-2.0f / 3) * kA * (u[1] - u[2]) + (1.0f / 6) * kB * (u[3] - u[4]);
    w[2] = u[5] - (1.0f / 3) * sum_a + (1.0f / 3) * sum_b;
  }
};

// Evaluation points 0, +-1, infinity.
template <>
struct Axis<2> {
  static inline void Input(const V d[4], V v[4]) {
    v[0] = d[0] - d[2];
    v[1] = d[2] + d[1];
    v[2] = d[2] - d[1];
    v[3] = d[3] - d[1];
  }
  static inline void Output(const V m[4], V y[2]) {
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] + m[3];
  }
  static inline void OutputDiff(const V y[2], V z[4]) {
    z[0] = y[0];
    z[1] = y[0] + y[1];
    z[2] = y[0] - y[1];
    z[3] = y[1];
  }
  static inline void Weights(const V w[3], V u[4]) {
    const V even = 0.5f * (w[0] + w[2]), odd = 0.5f * w[1];
    u[0] = w[0];
    u[1] = even + odd;
    u[2] = even - odd;
    u[3] = w[2];
  }
  static inline void WeightsDiff(const V u[4], V w[3]) {
    const V sum = 0.5f * (u[1] + u[2]);
    w[0] = u[0] + sum;
    w[1] = 0.5f * (u[1] - u[2]);
    w[2] = sum + u[3];
  }
};

// ---- tiles ----

// kExtent pixels of a row from column `left` on, zero outside the plane.
template <int kExtent>
inline void LoadRow(const float* plane, int h, int w, int row, int left, V d[kExtent]) {
  if (row < 0 || row >= h) {
    for (int c = 0; c < kExtent; ++c) d[c] = V{};
    return;
  }
  const float* p = plane + ptrdiff_t(row) * w * kBlock;
  if (left >= 0 && left + kExtent <= w) {
    for (int c = 0; c < kExtent; ++c) d[c] = Load(p + (left + c) * kBlock);
  } else {
    for (int c = 0; c < kExtent; ++c) {
      d[c] = left + c >= 0 && left + c < w ? Load(p + (left + c) * kBlock) : V{};
    }
  }
}

template <int kTile>
inline void InputTile(const float* plane, int h, int w, int top, int left, float* out,
                      size_t stride) {
  constexpr int kIn = kTile + 2;
  V t[kIn][kIn];
  for (int r = 0; r < kIn; ++r) {
    V d[kIn];
    LoadRow<kIn>(plane, h, w, top + r, left, d);
    Axis<kTile>::Input(d, t[r]);
  }
  for (int c = 0; c < kIn; ++c) {
    V d[kIn], v[kIn];
    for (int r = 0; r < kIn; ++r) d[r] = t[r][c];
    Axis<kTile>::Input(d, v);
    for (int r = 0; r < kIn; ++r) Store(out + (r * kIn + c) * stride, v[r]);
  }
}

template <int kTile>
inline void OutputDiffTile(const float* plane, int h, int w, int top, int left, float* out,
                           size_t stride) {
  constexpr int kIn = kTile + 2;
  V t[kTile][kIn];
  for (int r = 0; r < kTile; ++r) {
    V y[kTile];
    LoadRow<kTile>(plane, h, w, top + r, left, y);
    Axis<kTile>::OutputDiff(y, t[r]);
  }
  for (int c = 0; c < kIn; ++c) {
    V y[kTile], z[kIn];
    for (int r = 0; r < kTile; ++r) y[r] = t[r][c];
    Axis<kTile>::OutputDiff(y, z);
    for (int r = 0; r < kIn; ++r) Store(out + (r * kIn + c) * stride, z[r]);
  }
}

template <int kTile>
inline void OutputTile(const float* products, size_t stride, V bias, int h, int w, int top,
                       int left, float* plane) {
  constexpr int kIn = kTile + 2;
  V t[kTile][kIn];
  for (int c = 0; c < kIn; ++c) {
    V m[kIn], y[kTile];
    for (int r = 0; r < kIn; ++r) m[r] = Load(products + (r * kIn + c) * stride);
    Axis<kTile>::Output(m, y);
    for (int r = 0; r < kTile; ++r) t[r][c] = y[r];
  }
  const int rows = h - top < kTile ? h - top : kTile;
  const int columns = w - left < kTile ? w - left : kTile;
  for (int r = 0; r < rows; ++r) {
    V y[kTile];
    Axis<kTile>::Output(t[r], y);
    float* p = plane + (ptrdiff_t(top + r) * w + left) * kBlock;
    if (columns == kTile) {
      for (int c = 0; c < kTile; ++c) Store(p + c * kBlock, y[c] + bias);
    } else {
      for (int c = 0; c < columns; ++c) Store(p + c * kBlock, y[c] + bias);
    }
  }
}

// Calls body(number within the range, image, tile row, tile column) for the tiles [begin, end).
template <int kTile, class Body>
inline void ForTiles(const WinogradShape& s, int begin, int end, const Body& body) {
  const int across = s.tiles_w(kTile), down = s.tiles_h(kTile);
  int column = begin % across, row = begin / across % down, n = begin / across / down;
  for (int t = begin; t < end; ++t) {
    body(t - begin, n, row, column);
    if (++column < across) continue;
    column = 0;
    if (++row < down) continue;
    row = 0;
    ++n;
  }
}

template <int kTile>
void InputTiles(const WinogradShape& s, const float* src, int begin, int end, float* out,
                size_t tile_stride, size_t stride) {
  const size_t plane = size_t(s.in_h) * s.in_w * kBlock;
  for (int g = 0; g < s.in_groups; ++g) {
    ForTiles<kTile>(s, begin, end, [&](int t, int n, int row, int column) {
      InputTile<kTile>(src + (size_t(n) * s.in_groups + g) * plane, s.in_h, s.in_w,
                       row * kTile - s.pad_h, column * kTile - s.pad_w,
                       out + t * tile_stride + g * kBlock, stride);
    });
  }
}

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

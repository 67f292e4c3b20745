// The tiles of Winograd's algorithm and their transforms; included by winograd_kernels.inl.

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

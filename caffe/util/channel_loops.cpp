#include "caffe/util/channel_loops.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

// One version per vector instruction set, chosen when the library is loaded. Sanitizers' start-up
// code runs after that choice, so their builds do without.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
#define CAFFE_VECTOR_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CAFFE_VECTOR_CLONES
#endif
#define CAFFE_INLINE inline __attribute__((always_inline))

namespace caffe {

namespace {

// ---- bodies: one channel group of one image, kLanes channels side by side ----

template <int kLanes, typename Dtype>
CAFFE_INLINE void AffineBody(int spatial, const Dtype* x, const Dtype* alpha, const Dtype* beta,
                             Dtype* y) {
  for (int s = 0; s < spatial; ++s) {
    for (int l = 0; l < kLanes; ++l) y[s * kLanes + l] = alpha[l] * x[s * kLanes + l] + beta[l];
  }
}

template <int kLanes, typename Dtype>
CAFFE_INLINE void Affine2Body(int spatial, const Dtype* u, const Dtype* v, const Dtype* a,
                              const Dtype* b, const Dtype* d, Dtype* y) {
  for (int s = 0; s < spatial; ++s) {
    for (int l = 0; l < kLanes; ++l) {
      const int i = s * kLanes + l;
      y[i] = a[l] * u[i] + b[l] * v[i] + d[l];
    }
  }
}

// Vectors are spelt out, since compilers keep arrays of running sums in memory; two of each sum,
// since an addition waits for the one before. A plain channel (kLanes 1) is summed in 16
// interleaved parts.
template <int kLanes, typename Dtype>
CAFFE_INLINE void SumsBody(int spatial, const Dtype* u, const Dtype* v, const Dtype* shift,
                           Dtype* sum, Dtype* dot) {
  constexpr int kWidth = kLanes == 1 ? 16 : kLanes;
  typedef Dtype Vector __attribute__((vector_size(kWidth * sizeof(Dtype))));
  Vector shifts;
  for (int l = 0; l < kWidth; ++l) shifts[l] = shift[l % kLanes];
  Vector sums[2] = {}, dots[2] = {};
  const auto add = [&](int i, int part) __attribute__((always_inline)) {
    Vector a, b;
    std::memcpy(&b, v + i, sizeof(b));
    b -= shifts;
    if (u) {
      std::memcpy(&a, u + i, sizeof(a));
    } else {
      a = b;
    }
    sums[part] += a;
    dots[part] += a * b;
  };
  const int count = spatial * kLanes;
  int i = 0;
  for (; i + 2 * kWidth <= count; i += 2 * kWidth) {
    add(i, 0);
    add(i + kWidth, 1);
  }
  for (; i + kWidth <= count; i += kWidth) add(i, 0);
  const Vector all_sums = sums[0] + sums[1], all_dots = dots[0] + dots[1];
  for (int l = 0; l < kLanes; ++l) sum[l] = dot[l] = 0;
  for (int l = 0; l < kWidth; ++l) {
    sum[l % kLanes] += all_sums[l];
    dot[l % kLanes] += all_dots[l];
  }
  for (; i < count; ++i) {  // plain: the pixels beyond the last whole vector
    const Dtype d = v[i] - shift[0], a = u ? u[i] : d;
    sum[0] += a;
    dot[0] += a * d;
  }
}

// ---- the same by block size ----

#define BY_LANES(Body, ...)         \
  switch (block) {                  \
    case 16:                        \
      return Body<16>(__VA_ARGS__); \
    case 8:                         \
      return Body<8>(__VA_ARGS__);  \
    default:                        \
      return Body<1>(__VA_ARGS__);  \
  }

#define DEFINE_GROUP_LOOPS(Dtype, CLONES)                                                         \
  CLONES void AffineGroup(int block, int spatial, const Dtype* x, const Dtype* alpha,             \
                          const Dtype* beta,                                                      \
                          Dtype* y){BY_LANES(AffineBody, spatial, x, alpha, beta, y)} CLONES void \
  Affine2Group(int block, int spatial, const Dtype* u, const Dtype* v, const Dtype* a,            \
               const Dtype* b, const Dtype* d,                                                    \
               Dtype* y){BY_LANES(Affine2Body, spatial, u, v, a, b, d, y)} CLONES void            \
  SumsGroup(int block, int spatial, const Dtype* u, const Dtype* v, const Dtype* shift,           \
            Dtype* sum,                                                                           \
            Dtype* dot){BY_LANES(SumsBody, spatial, u, v, shift, sum, dot)} CLONES void           \
  ReluRange(size_t count, Dtype slope, const Dtype* x, Dtype* y) {                                \
    for (size_t i = 0; i < count; ++i) y[i] = x[i] > 0 ? x[i] : slope * x[i];                     \
  }                                                                                               \
  CLONES void ReluGradientRange(size_t count, Dtype slope, const Dtype* x, const Dtype* dy,       \
                                Dtype* dx) {                                                      \
    for (size_t i = 0; i < count; ++i) dx[i] = x[i] > 0 ? dy[i] : slope * dy[i];                  \
  }                                                                                               \
  CLONES void WeightedSumRange(size_t count, Dtype a, const Dtype* u, Dtype b, const Dtype* v,    \
                               Dtype* y) {                                                        \
    for (size_t i = 0; i < count; ++i) y[i] = a * u[i] + b * v[i];                                \
  }

DEFINE_GROUP_LOOPS(float, CAFFE_VECTOR_CLONES)
DEFINE_GROUP_LOOPS(double, )

// body(first element, per-channel offset) for every channel group of every image.
template <class Body>
void ForEachGroup(const ChannelBlocks& layout, const Body& body) {
  const int groups = layout.groups();
#pragma omp parallel for collapse(2) schedule(static)
  for (int n = 0; n < layout.num; ++n) {
    for (int g = 0; g < groups; ++g) {
      body((size_t(n) * groups + g) * layout.spatial * layout.block, n, g * layout.block);
    }
  }
}

// Splits a long array among the threads, in pieces that fill cache lines.
template <class Body>
void ForEachRange(size_t count, const Body& body) {
  const size_t piece = 16384;
  const long pieces = static_cast<long>((count + piece - 1) / piece);
#pragma omp parallel for schedule(static) if (pieces > 1)
  for (long i = 0; i < pieces; ++i) {
    const size_t first = size_t(i) * piece;
    body(first, std::min(piece, count - first));
  }
}

}  // namespace

template <typename Dtype>
void ChannelAffine(const ChannelBlocks& layout, const Dtype* x, const Dtype* alpha,
                   const Dtype* beta, Dtype* y) {
  ForEachGroup(layout, [&](size_t at, int, int c) {
    AffineGroup(layout.block, layout.spatial, x + at, alpha + c, beta + c, y + at);
  });
}

template <typename Dtype>
void ChannelAffine2(const ChannelBlocks& layout, const Dtype* u, const Dtype* v, const Dtype* a,
                    const Dtype* b, const Dtype* d, Dtype* y) {
  ForEachGroup(layout, [&](size_t at, int, int c) {
    Affine2Group(layout.block, layout.spatial, u + at, v + at, a + c, b + c, d + c, y + at);
  });
}

template <typename Dtype>
void ChannelSums(const ChannelBlocks& layout, const Dtype* u, const Dtype* v, const Dtype* shift,
                 double* sum, double* dot) {
  const int lanes = layout.groups() * layout.block;
  static thread_local std::vector<Dtype> partial;
  partial.resize(size_t(layout.num) * lanes * 2);
  Dtype* sums = partial.data();
  Dtype* dots = sums + size_t(layout.num) * lanes;
  ForEachGroup(layout, [&](size_t at, int n, int c) {
    SumsGroup(layout.block, layout.spatial, u ? u + at : nullptr, v + at, shift + c,
              sums + size_t(n) * lanes + c, dots + size_t(n) * lanes + c);
  });
  std::fill(sum, sum + lanes, 0.0);
  std::fill(dot, dot + lanes, 0.0);
  for (int n = 0; n < layout.num; ++n) {
    for (int c = 0; c < lanes; ++c) {
      sum[c] += sums[size_t(n) * lanes + c];
      dot[c] += dots[size_t(n) * lanes + c];
    }
  }
}

template <typename Dtype>
void ReluForward(size_t count, Dtype slope, const Dtype* x, Dtype* y) {
  ForEachRange(count, [&](size_t at, size_t n) { ReluRange(n, slope, x + at, y + at); });
}

template <typename Dtype>
void ReluBackward(size_t count, Dtype slope, const Dtype* x, const Dtype* dy, Dtype* dx) {
  ForEachRange(count,
               [&](size_t at, size_t n) { ReluGradientRange(n, slope, x + at, dy + at, dx + at); });
}

template <typename Dtype>
void WeightedSum(size_t count, Dtype a, const Dtype* u, Dtype b, const Dtype* v, Dtype* y) {
  ForEachRange(count,
               [&](size_t at, size_t n) { WeightedSumRange(n, a, u + at, b, v + at, y + at); });
}

template <typename Dtype>
void CopyRange(size_t count, const Dtype* x, Dtype* y) {
  ForEachRange(count, [&](size_t at, size_t n) { std::copy(x + at, x + at + n, y + at); });
}

#define INSTANTIATE_CHANNEL_LOOPS(Dtype)                                                       \
  template void ChannelAffine(const ChannelBlocks&, const Dtype*, const Dtype*, const Dtype*,  \
                              Dtype*);                                                         \
  template void ChannelAffine2(const ChannelBlocks&, const Dtype*, const Dtype*, const Dtype*, \
                               const Dtype*, const Dtype*, Dtype*);                            \
  template void ChannelSums(const ChannelBlocks&, const Dtype*, const Dtype*, const Dtype*,    \
                            double*, double*);                                                 \
  template void ReluForward(size_t, Dtype, const Dtype*, Dtype*);                              \
  template void ReluBackward(size_t, Dtype, const Dtype*, const Dtype*, Dtype*);               \
  template void WeightedSum(size_t, Dtype, const Dtype*, Dtype, const Dtype*, Dtype*);         \
  template void CopyRange(size_t, const Dtype*, Dtype*)

INSTANTIATE_CHANNEL_LOOPS(float);
INSTANTIATE_CHANNEL_LOOPS(double);

}  // namespace caffe

#include "caffe/util/channel_loops.hpp"

#include <algorithm>
#include <vector>

#include "caffe/util/vector_lanes.hpp"

namespace caffe {

namespace {

// ---- bodies: one channel group of one image, kLanes channels side by side ----

// A plain channel (kLanes 1) goes in vectors of 16 pixels and a rest.
template <int kLanes, typename Dtype>
struct Lanes : VectorOf<kLanes == 1 ? 16 : kLanes, Dtype> {
  typedef VectorOf<kLanes == 1 ? 16 : kLanes, Dtype> Base;
  static constexpr int kWidth = kLanes == 1 ? 16 : kLanes;
  /// One value per channel.
  static CAFFE_INLINE typename Base::Vector Spread(const Dtype* values) {
    return kLanes == 1 ? Base::Spread(*values) : Base::Load(values);
  }
};

template <typename Dtype>
CAFFE_INLINE Dtype Relu(Dtype t, Dtype slope) {
  return t > 0 ? t : slope * t;
}

template <int kLanes, typename Dtype>
CAFFE_INLINE void AffineBody(int spatial, const Dtype* x, const Dtype* alpha, const Dtype* beta,
                             Dtype slope, Dtype* y) {
  typedef Lanes<kLanes, Dtype> L;
  const auto alphas = L::Spread(alpha), betas = L::Spread(beta);
  const int count = spatial * kLanes;
  int i = 0;
  for (; i + L::kWidth <= count; i += L::kWidth) {
    const auto t = alphas * L::Load(x + i) + betas;
    L::Store(y + i, t > 0 ? t : slope * t);
  }
  for (; i < count; ++i) y[i] = Relu(alpha[0] * x[i] + beta[0], slope);
}

template <int kLanes, typename Dtype>
CAFFE_INLINE void Affine2Body(int spatial, const Dtype* u, const Dtype* v, const Dtype* a,
                              const Dtype* b, const Dtype* d, const Dtype* alpha, const Dtype* beta,
                              Dtype slope, Dtype* y) {
  typedef Lanes<kLanes, Dtype> L;
  const auto as = L::Spread(a), bs = L::Spread(b), ds = L::Spread(d);
  const auto alphas = L::Spread(alpha), betas = L::Spread(beta);
  const int count = spatial * kLanes;
  int i = 0;
  for (; i + L::kWidth <= count; i += L::kWidth) {
    const auto g = L::Load(u + i), w = L::Load(v + i);
    L::Store(y + i, as * (alphas * w + betas > 0 ? g : slope * g) + bs * w + ds);
  }
  for (; i < count; ++i) {
    const Dtype g = alpha[0] * v[i] + beta[0] > 0 ? u[i] : slope * u[i];
    y[i] = a[0] * g + b[0] * v[i] + d[0];
  }
}

// Two of each sum, since an addition waits for the one before.
template <int kLanes, typename Dtype>
CAFFE_INLINE void SumsBody(int spatial, const Dtype* u, const Dtype* v, const Dtype* shift,
                           const Dtype* alpha, const Dtype* beta, Dtype slope, Dtype* sum,
                           Dtype* dot) {
  typedef Lanes<kLanes, Dtype> L;
  const auto shifts = L::Spread(shift), alphas = L::Spread(alpha), betas = L::Spread(beta);
  typename L::Vector sums[2] = {}, dots[2] = {};
  const auto add = [&](int i, int part) CAFFE_INLINED {
    const auto w = L::Load(v + i);
    const auto distance = w - shifts;
    auto g = distance;
    if (u) {
      g = L::Load(u + i);
      g = alphas * w + betas > 0 ? g : slope * g;
    }
    sums[part] += g;
    dots[part] += g * distance;
  };
  const int count = spatial * kLanes;
  int i = 0;
  for (; i + 2 * L::kWidth <= count; i += 2 * L::kWidth) {
    add(i, 0);
    add(i + L::kWidth, 1);
  }
  for (; i + L::kWidth <= count; i += L::kWidth) add(i, 0);
  const auto all_sums = sums[0] + sums[1], all_dots = dots[0] + dots[1];
  for (int l = 0; l < kLanes; ++l) sum[l] = dot[l] = 0;
  for (int l = 0; l < L::kWidth; ++l) {
    sum[l % kLanes] += all_sums[l];
    dot[l % kLanes] += all_dots[l];
  }
  for (; i < count; ++i) {
    const Dtype distance = v[i] - shift[0];
    const Dtype g = !u ? distance : alpha[0] * v[i] + beta[0] > 0 ? u[i] : slope * u[i];
    sum[0] += g;
    dot[0] += g * distance;
  }
}

// ---- bodies: element by element; f takes vectors and numbers alike ----

template <typename Dtype, class Function>
CAFFE_INLINE void MapRange(size_t count, const Dtype* u, const Dtype* v, Dtype* y,
                           const Function& f) {
  typedef Lanes<1, Dtype> L;
  size_t i = 0;
  for (; i + L::kWidth <= count; i += L::kWidth) {
    L::Store(y + i, f(L::Load(u + i), L::Load(v + i)));
  }
  for (; i < count; ++i) y[i] = f(u[i], v[i]);
}

// ---- the same by block size ----

// clang-format off
#define DEFINE_GROUP_LOOPS(Dtype, CLONES)                                                       \
  CLONES void AffineGroup(int block, int spatial, const Dtype* x, const Dtype* alpha,           \
                          const Dtype* beta, Dtype slope, Dtype* y) {                           \
    CAFFE_BY_LANES(block, AffineBody, spatial, x, alpha, beta, slope, y)                        \
  }                                                                                             \
  CLONES void Affine2Group(int block, int spatial, const Dtype* u, const Dtype* v,              \
                           const Dtype* a, const Dtype* b, const Dtype* d, const Dtype* alpha,  \
                           const Dtype* beta, Dtype slope, Dtype* y) {                          \
    CAFFE_BY_LANES(block, Affine2Body, spatial, u, v, a, b, d, alpha, beta, slope, y)           \
  }                                                                                             \
  CLONES void SumsGroup(int block, int spatial, const Dtype* u, const Dtype* v,                 \
                        const Dtype* shift, const Dtype* alpha, const Dtype* beta, Dtype slope, \
                        Dtype* sum, Dtype* dot) {                                               \
    CAFFE_BY_LANES(block, SumsBody, spatial, u, v, shift, alpha, beta, slope, sum, dot)         \
  }                                                                                             \
  CLONES void ReluRange(size_t count, Dtype slope, const Dtype* x, Dtype* y) {                  \
    MapRange(count, x, x, y, [slope](auto u, auto) CAFFE_INLINED {                              \
      return u > 0 ? u : slope * u;                                                             \
    });                                                                                         \
  }                                                                                             \
  CLONES void ReluGradientRange(size_t count, Dtype slope, const Dtype* x, const Dtype* dy,     \
                                Dtype* dx) {                                                    \
    MapRange(count, x, dy, dx, [slope](auto u, auto v) CAFFE_INLINED {                          \
      return u > 0 ? v : slope * v;                                                             \
    });                                                                                         \
  }                                                                                             \
  CLONES void ScaledRange(size_t count, Dtype a, const Dtype* x, Dtype* y, Dtype slope) {         \
    MapRange(count, x, x, y, [=](auto p, auto) CAFFE_INLINED {                                  \
      const auto t = a * p;                                                                     \
      return t > 0 ? t : slope * t;                                                             \
    });                                                                                         \
  }                                                                                             \
  CLONES void WeightedSumRange(size_t count, Dtype a, const Dtype* u, Dtype b, const Dtype* v,  \
                               Dtype* y, Dtype slope) {                                         \
    MapRange(count, u, v, y, [=](auto p, auto q) CAFFE_INLINED {                                \
      const auto t = a * p + b * q;                                                             \
      return t > 0 ? t : slope * t;                                                             \
    });                                                                                         \
  }
// clang-format on

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

// What stands for "no ReLU": a slope of 1 on both sides, wherever alpha and beta put the kink.
template <typename Dtype>
ChannelRelu<Dtype> ReluOr(const ChannelRelu<Dtype>* relu, const Dtype* any) {
  return relu ? *relu : ChannelRelu<Dtype>{any, any, Dtype(1)};
}

}  // namespace

template <typename Dtype>
void ChannelAffine(const ChannelBlocks& layout, const Dtype* x, const Dtype* alpha,
                   const Dtype* beta, Dtype* y, Dtype slope) {
  ForEachGroup(layout, [&](size_t at, int, int c) {
    AffineGroup(layout.block, layout.spatial, x + at, alpha + c, beta + c, slope, y + at);
  });
}

template <typename Dtype>
void ChannelAffine2(const ChannelBlocks& layout, const Dtype* u, const Dtype* v, const Dtype* a,
                    const Dtype* b, const Dtype* d, Dtype* y, const ChannelRelu<Dtype>* relu) {
  const ChannelRelu<Dtype> r = ReluOr(relu, a);
  ForEachGroup(layout, [&](size_t at, int, int c) {
    Affine2Group(layout.block, layout.spatial, u + at, v + at, a + c, b + c, d + c, r.alpha + c,
                 r.beta + c, r.slope, y + at);
  });
}

template <typename Dtype>
void ChannelSums(const ChannelBlocks& layout, const Dtype* u, const Dtype* v, const Dtype* shift,
                 double* sum, double* dot, const ChannelRelu<Dtype>* relu) {
  const ChannelRelu<Dtype> r = ReluOr(relu, shift);
  const int lanes = layout.groups() * layout.block;
  const size_t count = size_t(layout.num) * lanes;
  static thread_local std::vector<Dtype> scratch;  // kept: called in every iteration
  if (scratch.size() < 2 * count) scratch.resize(2 * count);
  Dtype* sums = scratch.data();
  Dtype* dots = sums + count;
  ForEachGroup(layout, [&](size_t at, int n, int c) {
    SumsGroup(layout.block, layout.spatial, u ? u + at : nullptr, v + at, shift + c, r.alpha + c,
              r.beta + c, r.slope, sums + size_t(n) * lanes + c, dots + size_t(n) * lanes + c);
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
void WeightedSum(size_t count, Dtype a, const Dtype* u, Dtype b, const Dtype* v, Dtype* y,
                 Dtype slope) {
  if (a == 0 && b != 0) return WeightedSum(count, b, v, Dtype(0), v, y, slope);
  ForEachRange(count, [&](size_t at, size_t n) {
    if (a == 0) {
      std::fill(y + at, y + at + n, Dtype(0));
    } else if (b == 0) {
      ScaledRange(n, a, u + at, y + at, slope);
    } else {
      WeightedSumRange(n, a, u + at, b, v + at, y + at, slope);
    }
  });
}

template <typename Dtype>
void CopyRange(size_t count, const Dtype* x, Dtype* y) {
  ForEachRange(count, [&](size_t at, size_t n) { std::copy(x + at, x + at + n, y + at); });
}

#define INSTANTIATE_CHANNEL_LOOPS(Dtype)                                                       \
  template void ChannelAffine(const ChannelBlocks&, const Dtype*, const Dtype*, const Dtype*,  \
                              Dtype*, Dtype);                                                  \
  template void ChannelAffine2(const ChannelBlocks&, const Dtype*, const Dtype*, const Dtype*, \
                               const Dtype*, const Dtype*, Dtype*, const ChannelRelu<Dtype>*); \
  template void ChannelSums(const ChannelBlocks&, const Dtype*, const Dtype*, const Dtype*,    \
                            double*, double*, const ChannelRelu<Dtype>*);                      \
  template void ReluForward(size_t, Dtype, const Dtype*, Dtype*);                              \
  template void ReluBackward(size_t, Dtype, const Dtype*, const Dtype*, Dtype*);               \
  template void WeightedSum(size_t, Dtype, const Dtype*, Dtype, const Dtype*, Dtype*, Dtype);  \
  template void CopyRange(size_t, const Dtype*, Dtype*)

INSTANTIATE_CHANNEL_LOOPS(float);
INSTANTIATE_CHANNEL_LOOPS(double);

}  // namespace caffe

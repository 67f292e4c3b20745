#include "caffe/util/math_functions.hpp"

#include "caffe/util/device_vectors.hpp"
#include "caffe/util/device_workspace.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {

namespace {

template <typename Dtype>
struct Linear {  // alpha a + beta
  Dtype alpha, beta;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype a) const { return alpha * a + beta; }
};

template <typename Dtype>
struct Combination {  // alpha a + beta b
  Dtype alpha, beta;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype a, Dtype b) const { return alpha * a + beta * b; }
};

template <typename Dtype>
struct Power {
  Dtype exponent;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype a) const { return std::pow(a, exponent); }
};

#define FUNCTION_OF_ONE(Name, expression)               \
  struct Name {                                         \
    template <typename Dtype>                           \
    CAFFE_HOST_DEVICE Dtype operator()(Dtype a) const { \
      return expression;                                \
    }                                                   \
  }
#define FUNCTION_OF_TWO(Name, expression)                        \
  struct Name {                                                  \
    template <typename Dtype>                                    \
    CAFFE_HOST_DEVICE Dtype operator()(Dtype a, Dtype b) const { \
      return expression;                                         \
    }                                                            \
  }

FUNCTION_OF_ONE(Absolute, std::fabs(a));
FUNCTION_OF_ONE(Exponential, std::exp(a));
FUNCTION_OF_ONE(Logarithm, std::log(a));
FUNCTION_OF_ONE(Root, std::sqrt(a));
FUNCTION_OF_ONE(Sign, Dtype((Dtype(0) < a) - (a < Dtype(0))));
FUNCTION_OF_ONE(SignBit, Dtype(std::signbit(a) ? 1 : 0));
FUNCTION_OF_TWO(Sum, a + b);
FUNCTION_OF_TWO(Difference, a - b);
FUNCTION_OF_TWO(Product, a* b);
FUNCTION_OF_TWO(Quotient, a / b);

// Block b sums the terms [b part, (b + 1) part).
template <typename Dtype, class Term>
struct PartialSums {
  Term term;
  int count, part;
  const Dtype *x, *y;
  double* sums;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int begin = block.index() * part;
    const int size = count - begin < part ? count - begin : part;
    const double sum = block.Sum<double>(
        size, [&](int i) { return double(term(double(x[begin + i]), double(y[begin + i]))); });
    block.Run(1, [&](int) { sums[block.index()] = sum; });
  }
};

const int kPart = 1 << 14;

int BlocksOf(int n) {
  return n > 0 ? (n - 1) / kPart + 1 : 0;
}

// The sum of sums, on the host, as all who ask go on there.
double Collect(const double* sums, size_t count) {
  vector<double> values(count);
  Device::Get().CopyToHost(values.data(), sums, count * sizeof(double));
  double sum = 0;
  for (double value : values) sum += value;
  return sum;
}

template <typename Dtype, class Term>
Dtype SumOf(int n, const Term& term, const Dtype* x, const Dtype* y) {
  if (n <= 0) return 0;
  DeviceWorkspace workspace;
  double* sums = workspace.Get<double>(BlocksOf(n));
  ForEachBlock(BlocksOf(n), 256, 0, PartialSums<Dtype, Term>{term, n, kPart, x, y, sums});
  return static_cast<Dtype>(Collect(sums, BlocksOf(n)));
}

struct AbsoluteFirst {
  CAFFE_HOST_DEVICE double operator()(double a, double) const { return std::fabs(a); }
};

// Four numbers of one Philox counter, two where they are doubles.
template <class Write>
struct Random {
  uint64_t key;
  Write write;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    write(i, Philox::At(key, static_cast<uint32_t>(i), 0, 0, 0));
  }
};

// A key of its own for every array.
template <class Write>
void DrawRandom(int groups, const Write& write) {
  const uint64_t high = caffe_rng_rand();
  ForEachIndex(groups, Random<Write>{(high << 32) | caffe_rng_rand(), write});
}

CAFFE_HOST_DEVICE inline double Uniform53(uint32_t high, uint32_t low) {
  const uint64_t bits = (uint64_t{high} >> 6 << 26) | (low >> 6);
  return (static_cast<double>(bits) + 0.5) / 4503599627370496.0;
}

struct WriteBits {
  int n;
  unsigned int* r;
  CAFFE_HOST_DEVICE void operator()(int i, const Philox& bits) const {
    for (int j = 0; j < 4 && 4 * i + j < n; ++j) r[4 * i + j] = bits.v[j];
  }
};

struct WriteBernoulli {
  int n;
  float p;
  int* r;
  CAFFE_HOST_DEVICE void operator()(int i, const Philox& bits) const {
    for (int j = 0; j < 4 && 4 * i + j < n; ++j) r[4 * i + j] = PhiloxUniform(bits.v[j]) <= p;
  }
};

// Two numbers per counter, with all the bits of a double.
template <typename Dtype>
struct WriteUniform {
  int n;
  Dtype a, b;
  Dtype* r;
  CAFFE_HOST_DEVICE void operator()(int i, const Philox& bits) const {
    for (int j = 0; j < 2 && 2 * i + j < n; ++j) {
      r[2 * i + j] = a + (b - a) * Dtype(Uniform53(bits.v[2 * j], bits.v[2 * j + 1]));
    }
  }
};

template <typename Dtype>
struct WriteGaussian {
  int n;
  Dtype mu, sigma;
  Dtype* r;
  CAFFE_HOST_DEVICE void operator()(int i, const Philox& bits) const {
    const double radius = std::sqrt(-2 * std::log(Uniform53(bits.v[0], bits.v[1])));
    const double angle = 6.283185307179586 * Uniform53(bits.v[2], bits.v[3]);
    r[2 * i] = mu + sigma * Dtype(radius * std::cos(angle));
    if (2 * i + 1 < n) r[2 * i + 1] = mu + sigma * Dtype(radius * std::sin(angle));
  }
};

}  // namespace

template <typename Dtype>
void caffe_gpu_axpy(const int N, const Dtype alpha, const Dtype* X, Dtype* Y) {
  MapElements(N, Combination<Dtype>{alpha, Dtype(1)}, X, Y, Y);
}

// beta 0: what Y held, not a number or not, does not count.
template <typename Dtype>
void caffe_gpu_axpby(const int N, const Dtype alpha, const Dtype* X, const Dtype beta, Dtype* Y) {
  if (beta == Dtype(0)) {
    caffe_gpu_scale(N, alpha, X, Y);
  } else {
    MapElements(N, Combination<Dtype>{alpha, beta}, X, Y, Y);
  }
}

void caffe_gpu_memcpy(const size_t N, const void* X, void* Y) {
  if (X != Y && N > 0) Device::Get().CopyAnywhere(Y, X, N);
}

void caffe_gpu_memset(const size_t N, const int alpha, void* X) {
  if (N > 0) Device::Get().Fill(X, alpha, N);
}

template <typename Dtype>
void caffe_gpu_set(const int N, const Dtype alpha, Dtype* X) {
  SetAll(N, alpha, X);
}

template <typename Dtype>
void caffe_gpu_add_scalar(const int N, const Dtype alpha, Dtype* X) {
  MapElements(N, Linear<Dtype>{Dtype(1), alpha}, X, X);
}

template <typename Dtype>
void caffe_gpu_scal(const int N, const Dtype alpha, Dtype* X) {
  MapElements(N, Linear<Dtype>{alpha, Dtype(0)}, X, X);
}

template <typename Dtype>
void caffe_gpu_scale(const int n, const Dtype alpha, const Dtype* x, Dtype* y) {
  MapElements(n, Linear<Dtype>{alpha, Dtype(0)}, x, y);
}

#define DEFINE_OF_ONE(name, Function)                            \
  template <typename Dtype>                                      \
  void caffe_gpu_##name(const int n, const Dtype* a, Dtype* y) { \
    MapElements(n, Function{}, a, y);                            \
  }
#define DEFINE_OF_TWO(name, Function)                                            \
  template <typename Dtype>                                                      \
  void caffe_gpu_##name(const int n, const Dtype* a, const Dtype* b, Dtype* y) { \
    MapElements(n, Function{}, a, b, y);                                         \
  }

DEFINE_OF_ONE(abs, Absolute)
DEFINE_OF_ONE(fabs, Absolute)
DEFINE_OF_ONE(exp, Exponential)
DEFINE_OF_ONE(log, Logarithm)
DEFINE_OF_ONE(sqrt, Root)
DEFINE_OF_ONE(sign, Sign)
DEFINE_OF_ONE(sgnbit, SignBit)
DEFINE_OF_TWO(add, Sum)
DEFINE_OF_TWO(sub, Difference)
DEFINE_OF_TWO(mul, Product)
DEFINE_OF_TWO(div, Quotient)

template <typename Dtype>
void caffe_gpu_powx(const int n, const Dtype* a, const Dtype b, Dtype* y) {
  MapElements(n, Power<Dtype>{b}, a, y);
}

template <typename Dtype>
void caffe_gpu_dot(const int n, const Dtype* x, const Dtype* y, Dtype* out) {
  *out = SumOf(n, Product{}, x, y);
}

template <typename Dtype>
void caffe_gpu_asum(const int n, const Dtype* x, Dtype* y) {
  *y = SumOf(n, AbsoluteFirst{}, x, x);
}

template <typename Dtype>
double GpuSumOfSquares(const vector<std::pair<const Dtype*, int>>& arrays) {
  size_t blocks = 0;
  for (const auto& array : arrays) blocks += BlocksOf(array.second);
  if (blocks == 0) return 0;
  DeviceWorkspace workspace;
  double* const sums = workspace.Get<double>(blocks);
  size_t done = 0;
  for (const auto& array : arrays) {
    const int n = array.second;
    ForEachBlock(
        BlocksOf(n), 256, 0,
        PartialSums<Dtype, Product>{Product{}, n, kPart, array.first, array.first, sums + done});
    done += BlocksOf(n);
  }
  return Collect(sums, blocks);
}

void caffe_gpu_rng_uniform(const int n, unsigned int* r) {
  DrawRandom((n + 3) / 4, WriteBits{n, r});
}

template <typename Dtype>
void caffe_gpu_rng_uniform(const int n, const Dtype a, const Dtype b, Dtype* r) {
  CHECK_LE(a, b);
  DrawRandom((n + 1) / 2, WriteUniform<Dtype>{n, a, b, r});
}

template <typename Dtype>
void caffe_gpu_rng_gaussian(const int n, const Dtype mu, const Dtype sigma, Dtype* r) {
  CHECK_GT(sigma, 0);
  DrawRandom((n + 1) / 2, WriteGaussian<Dtype>{n, mu, sigma, r});
}

template <typename Dtype>
void caffe_gpu_rng_bernoulli(const int n, const Dtype p, int* r) {
  CHECK_GE(p, 0);
  CHECK_LE(p, 1);
  DrawRandom((n + 3) / 4, WriteBernoulli{n, static_cast<float>(p), r});
}

#define INSTANTIATE_GPU_MATH(Dtype)                                                         \
  template void caffe_gpu_axpy(const int, const Dtype, const Dtype*, Dtype*);               \
  template void caffe_gpu_axpby(const int, const Dtype, const Dtype*, const Dtype, Dtype*); \
  template void caffe_gpu_add_scalar(const int, const Dtype, Dtype*);                       \
  template void caffe_gpu_scal(const int, const Dtype, Dtype*);                             \
  template void caffe_gpu_scale(const int, const Dtype, const Dtype*, Dtype*);              \
  template void caffe_gpu_abs(const int, const Dtype*, Dtype*);                             \
  template void caffe_gpu_fabs(const int, const Dtype*, Dtype*);                            \
  template void caffe_gpu_exp(const int, const Dtype*, Dtype*);                             \
  template void caffe_gpu_log(const int, const Dtype*, Dtype*);                             \
  template void caffe_gpu_sqrt(const int, const Dtype*, Dtype*);                            \
  template void caffe_gpu_sign(const int, const Dtype*, Dtype*);                            \
  template void caffe_gpu_sgnbit(const int, const Dtype*, Dtype*);                          \
  template void caffe_gpu_add(const int, const Dtype*, const Dtype*, Dtype*);               \
  template void caffe_gpu_sub(const int, const Dtype*, const Dtype*, Dtype*);               \
  template void caffe_gpu_mul(const int, const Dtype*, const Dtype*, Dtype*);               \
  template void caffe_gpu_div(const int, const Dtype*, const Dtype*, Dtype*);               \
  template void caffe_gpu_powx(const int, const Dtype*, const Dtype, Dtype*);               \
  template void caffe_gpu_dot(const int, const Dtype*, const Dtype*, Dtype*);               \
  template void caffe_gpu_asum(const int, const Dtype*, Dtype*);                            \
  template double GpuSumOfSquares(const vector<std::pair<const Dtype*, int>>&);             \
  template void caffe_gpu_set(const int, const Dtype, Dtype*);                              \
  template void caffe_gpu_rng_uniform(const int, const Dtype, const Dtype, Dtype*);         \
  template void caffe_gpu_rng_gaussian(const int, const Dtype, const Dtype, Dtype*);        \
  template void caffe_gpu_rng_bernoulli(const int, const Dtype, int*)

INSTANTIATE_GPU_MATH(float);
INSTANTIATE_GPU_MATH(double);
template void caffe_gpu_set(const int, const int, int*);
template void caffe_gpu_set(const int, const unsigned int, unsigned int*);

}  // namespace caffe

#include "caffe/util/math_functions.hpp"

#include <dnnl.h>

#include <limits>

#include "caffe/util/device.hpp"
#include "caffe/util/rng.hpp"

extern "C" void openblas_set_num_threads(int);

namespace caffe {

namespace {

// OpenBLAS serves the double reference path, where results must not depend on the number of
// threads; its own thread pool would also spin beside OpenMP's.
const bool blas_is_serial = [] {
  openblas_set_num_threads(1);
  return true;
}();

template <typename Dtype, class Function>
inline void Map(int n, const Dtype* a, Dtype* y, const Function& function) {
  for (int i = 0; i < n; ++i) y[i] = function(a[i]);
}

template <typename Dtype, class Function>
inline void Map(int n, const Dtype* a, const Dtype* b, Dtype* y, const Function& function) {
  for (int i = 0; i < n; ++i) y[i] = function(a[i], b[i]);
}

// Uniform in (0, 1], with all the bits that the type holds.
inline float NextUniform(float) {
  return PhiloxUniform((*caffe_rng())());
}
inline double NextUniform(double) {
  const uint64_t high = (*caffe_rng())() >> 6, low = (*caffe_rng())() >> 6;
  return (static_cast<double>((high << 26) | low) + 0.5) / 4503599627370496.0;
}

}  // namespace

template <>
void caffe_cpu_gemm<float>(const CBLAS_TRANSPOSE TransA, const CBLAS_TRANSPOSE TransB, const int M,
                           const int N, const int K, const float alpha, const float* A,
                           const float* B, const float beta, float* C) {
  const int lda = TransA == CblasNoTrans ? K : M;
  const int ldb = TransB == CblasNoTrans ? N : K;
#ifdef __x86_64__
  const auto letter = [](CBLAS_TRANSPOSE transpose) {
    return transpose == CblasNoTrans ? 'N' : 'T';
  };
  const dnnl_status_t status =
      dnnl_sgemm(letter(TransA), letter(TransB), M, N, K, alpha, A, lda, B, ldb, beta, C, N);
  CHECK_EQ(status, dnnl_success) << "dnnl_sgemm " << M << "x" << N << "x" << K;
#else  // where oneDNN's is a plain loop
  cblas_sgemm(CblasRowMajor, TransA, TransB, M, N, K, alpha, A, lda, B, ldb, beta, C, N);
#endif
}

template <>
void caffe_cpu_gemm<double>(const CBLAS_TRANSPOSE TransA, const CBLAS_TRANSPOSE TransB, const int M,
                            const int N, const int K, const double alpha, const double* A,
                            const double* B, const double beta, double* C) {
  const int lda = TransA == CblasNoTrans ? K : M;
  const int ldb = TransB == CblasNoTrans ? N : K;
  cblas_dgemm(CblasRowMajor, TransA, TransB, M, N, K, alpha, A, lda, B, ldb, beta, C, N);
}

template <>
void caffe_cpu_gemv<float>(const CBLAS_TRANSPOSE TransA, const int M, const int N,
                           const float alpha, const float* A, const float* x, const float beta,
                           float* y) {
  cblas_sgemv(CblasRowMajor, TransA, M, N, alpha, A, N, x, 1, beta, y, 1);
}

template <>
void caffe_cpu_gemv<double>(const CBLAS_TRANSPOSE TransA, const int M, const int N,
                            const double alpha, const double* A, const double* x, const double beta,
                            double* y) {
  cblas_dgemv(CblasRowMajor, TransA, M, N, alpha, A, N, x, 1, beta, y, 1);
}

template <typename Dtype>
void caffe_axpy(const int N, const Dtype alpha, const Dtype* X, Dtype* Y) {
  for (int i = 0; i < N; ++i) Y[i] += alpha * X[i];
}

template <typename Dtype>
void caffe_cpu_axpby(const int N, const Dtype alpha, const Dtype* X, const Dtype beta, Dtype* Y) {
  for (int i = 0; i < N; ++i) Y[i] = alpha * X[i] + beta * Y[i];
}

template <typename Dtype>
void caffe_copy(const int N, const Dtype* X, Dtype* Y) {
  if (X == Y || N <= 0) return;
  if (Caffe::mode() == Caffe::GPU) {
    Device::Get().CopyAnywhere(Y, X, sizeof(Dtype) * N);
  } else {
    std::memmove(Y, X, sizeof(Dtype) * N);
  }
}

template <typename Dtype>
void caffe_set(const int N, const Dtype alpha, Dtype* X) {
  std::fill(X, X + N, alpha);
}

template <typename Dtype>
void caffe_add_scalar(const int N, const Dtype alpha, Dtype* X) {
  for (int i = 0; i < N; ++i) X[i] += alpha;
}

template <typename Dtype>
void caffe_scal(const int N, const Dtype alpha, Dtype* X) {
  for (int i = 0; i < N; ++i) X[i] *= alpha;
}

template <typename Dtype>
void caffe_cpu_scale(const int n, const Dtype alpha, const Dtype* x, Dtype* y) {
  for (int i = 0; i < n; ++i) y[i] = alpha * x[i];
}

template <typename Dtype>
void caffe_sqr(const int n, const Dtype* a, Dtype* y) {
  Map(n, a, y, [](Dtype v) { return v * v; });
}

template <typename Dtype>
void caffe_sqrt(const int n, const Dtype* a, Dtype* y) {
  Map(n, a, y, [](Dtype v) { return std::sqrt(v); });
}

template <typename Dtype>
void caffe_exp(const int n, const Dtype* a, Dtype* y) {
  Map(n, a, y, [](Dtype v) { return std::exp(v); });
}

template <typename Dtype>
void caffe_log(const int n, const Dtype* a, Dtype* y) {
  Map(n, a, y, [](Dtype v) { return std::log(v); });
}

template <typename Dtype>
void caffe_abs(const int n, const Dtype* a, Dtype* y) {
  Map(n, a, y, [](Dtype v) { return std::fabs(v); });
}

template <typename Dtype>
void caffe_cpu_fabs(const int n, const Dtype* x, Dtype* y) {
  caffe_abs(n, x, y);
}

template <typename Dtype>
void caffe_cpu_sign(const int n, const Dtype* x, Dtype* y) {
  Map(n, x, y, [](Dtype v) { return Dtype(caffe_sign(v)); });
}

template <typename Dtype>
void caffe_cpu_sgnbit(const int n, const Dtype* x, Dtype* y) {
  Map(n, x, y, [](Dtype v) { return Dtype(std::signbit(v)); });
}

template <typename Dtype>
void caffe_powx(const int n, const Dtype* a, const Dtype b, Dtype* y) {
  Map(n, a, y, [b](Dtype v) { return std::pow(v, b); });
}

template <typename Dtype>
void caffe_add(const int n, const Dtype* a, const Dtype* b, Dtype* y) {
  Map(n, a, b, y, [](Dtype u, Dtype v) { return u + v; });
}

template <typename Dtype>
void caffe_sub(const int n, const Dtype* a, const Dtype* b, Dtype* y) {
  Map(n, a, b, y, [](Dtype u, Dtype v) { return u - v; });
}

template <typename Dtype>
void caffe_mul(const int n, const Dtype* a, const Dtype* b, Dtype* y) {
  Map(n, a, b, y, [](Dtype u, Dtype v) { return u * v; });
}

template <typename Dtype>
void caffe_div(const int n, const Dtype* a, const Dtype* b, Dtype* y) {
  Map(n, a, b, y, [](Dtype u, Dtype v) { return u / v; });
}

// Sums are formed in double and in order: the same on any machine.
template <typename Dtype>
Dtype caffe_cpu_strided_dot(const int n, const Dtype* x, const int incx, const Dtype* y,
                            const int incy) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += double(x[i * incx]) * y[i * incy];
  return static_cast<Dtype>(sum);
}

template <typename Dtype>
Dtype caffe_cpu_dot(const int n, const Dtype* x, const Dtype* y) {
  return caffe_cpu_strided_dot(n, x, 1, y, 1);
}

template <typename Dtype>
Dtype caffe_cpu_asum(const int n, const Dtype* x) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += std::fabs(x[i]);
  return static_cast<Dtype>(sum);
}

unsigned int caffe_rng_rand() {
  return (*caffe_rng())();
}

template <typename Dtype>
Dtype caffe_nextafter(const Dtype b) {
  return std::nextafter(b, std::numeric_limits<Dtype>::max());
}

template <typename Dtype>
void caffe_rng_uniform(const int n, const Dtype a, const Dtype b, Dtype* r) {
  CHECK_GE(n, 0);
  CHECK(r);
  CHECK_LE(a, b);
  for (int i = 0; i < n; ++i) r[i] = a + (b - a) * NextUniform(Dtype());
}

template <typename Dtype>
void caffe_rng_gaussian(const int n, const Dtype mu, const Dtype sigma, Dtype* r) {
  CHECK_GE(n, 0);
  CHECK(r);
  CHECK_GT(sigma, 0);
  const Dtype two_pi = Dtype(6.283185307179586);
  for (int i = 0; i < n; i += 2) {
    const Dtype radius = sigma * std::sqrt(-2 * std::log(NextUniform(Dtype())));
    const Dtype angle = two_pi * NextUniform(Dtype());
    r[i] = mu + radius * std::cos(angle);
    if (i + 1 < n) r[i + 1] = mu + radius * std::sin(angle);
  }
}

template <typename Dtype>
void caffe_rng_bernoulli(const int n, const Dtype p, unsigned int* r) {
  CHECK_GE(n, 0);
  CHECK(r);
  CHECK_GE(p, 0);
  CHECK_LE(p, 1);
  // p = 1 is always: the numbers reach 1.
  for (int i = 0; i < n; ++i) r[i] = NextUniform(float()) <= p ? 1 : 0;
}

template <typename Dtype>
void caffe_rng_bernoulli(const int n, const Dtype p, int* r) {
  caffe_rng_bernoulli(n, p, reinterpret_cast<unsigned int*>(r));
}

#define INSTANTIATE_MATH(Dtype)                                                             \
  template void caffe_cpu_axpby(const int, const Dtype, const Dtype*, const Dtype, Dtype*); \
  template void caffe_add_scalar(const int, const Dtype, Dtype*);                           \
  template void caffe_cpu_scale(const int, const Dtype, const Dtype*, Dtype*);              \
  template void caffe_sqr(const int, const Dtype*, Dtype*);                                 \
  template void caffe_sqrt(const int, const Dtype*, Dtype*);                                \
  template void caffe_exp(const int, const Dtype*, Dtype*);                                 \
  template void caffe_log(const int, const Dtype*, Dtype*);                                 \
  template void caffe_abs(const int, const Dtype*, Dtype*);                                 \
  template void caffe_cpu_fabs(const int, const Dtype*, Dtype*);                            \
  template void caffe_cpu_sign(const int, const Dtype*, Dtype*);                            \
  template void caffe_cpu_sgnbit(const int, const Dtype*, Dtype*);                          \
  template void caffe_powx(const int, const Dtype*, const Dtype, Dtype*);                   \
  template void caffe_add(const int, const Dtype*, const Dtype*, Dtype*);                   \
  template void caffe_sub(const int, const Dtype*, const Dtype*, Dtype*);                   \
  template void caffe_mul(const int, const Dtype*, const Dtype*, Dtype*);                   \
  template void caffe_div(const int, const Dtype*, const Dtype*, Dtype*);                   \
  template Dtype caffe_nextafter(const Dtype);                                              \
  template void caffe_rng_uniform(const int, const Dtype, const Dtype, Dtype*);             \
  template void caffe_rng_gaussian(const int, const Dtype, const Dtype, Dtype*);            \
  template void caffe_rng_bernoulli(const int, const Dtype, int*);                          \
  template void caffe_rng_bernoulli(const int, const Dtype, unsigned int*)

// What Blob needs for integers, too.
#define INSTANTIATE_COPYING(Type)                          \
  template void caffe_copy(const int, const Type*, Type*); \
  template void caffe_set(const int, const Type, Type*)

#define INSTANTIATE_BLAS1(Dtype)                                                         \
  template void caffe_axpy(const int, const Dtype, const Dtype*, Dtype*);                \
  template void caffe_scal(const int, const Dtype, Dtype*);                              \
  template Dtype caffe_cpu_dot(const int, const Dtype*, const Dtype*);                   \
  template Dtype caffe_cpu_strided_dot(const int, const Dtype*, const int, const Dtype*, \
                                       const int);                                       \
  template Dtype caffe_cpu_asum(const int, const Dtype*)

INSTANTIATE_MATH(float);
INSTANTIATE_MATH(double);
INSTANTIATE_BLAS1(float);
INSTANTIATE_BLAS1(double);
INSTANTIATE_COPYING(float);
INSTANTIATE_COPYING(double);
INSTANTIATE_COPYING(int);
INSTANTIATE_COPYING(unsigned int);

}  // namespace caffe

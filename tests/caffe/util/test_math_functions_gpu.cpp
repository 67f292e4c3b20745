#include <gtest/gtest.h>

#include <functional>

#include "caffe/util/math_functions.hpp"
#include "testing/gpu_util.hpp"

namespace caffe {
namespace {

template <typename Dtype>
class MathFunctionsGpu : public testing::GpuTest {
 protected:
  // y = function(a, b, y) on the host and on the device, from the same values.
  typedef std::function<void(const Dtype* a, const Dtype* b, Dtype* y)> Function;
  void ExpectSame(const Function& cpu, const Function& gpu, bool positive = false) {
    for (const int count : {1, 100, 70000}) {
      Blob<Dtype> a(vector<int>{count}), b(vector<int>{count}), y(vector<int>{count}), z(y.shape());
      testing::FillGaussian(&a, 1);
      testing::FillGaussian(&b, 2);
      testing::FillGaussian(&y, 3);
      if (positive) caffe_abs(count, a.cpu_data(), a.mutable_cpu_data());
      z.CopyFrom(y);
      count_ = count;
      cpu(a.cpu_data(), b.cpu_data(), y.mutable_cpu_data());
      gpu(a.gpu_data(), b.gpu_data(), z.mutable_gpu_data());
      const double tolerance = sizeof(Dtype) == 4 ? 1e-5 : 1e-13;
      EXPECT_LT(testing::RelativeError(z.cpu_data(), y.cpu_data(), count), tolerance);
    }
  }
  int count_ = 0;
};

typedef ::testing::Types<float, double> BothTypes;
TYPED_TEST_SUITE(MathFunctionsGpu, BothTypes);

#define EXPECT_SAME_OF_ONE(name, ...)                                           \
  this->ExpectSame([this](const TypeParam* a, const TypeParam*,                 \
                          TypeParam* y) { caffe_##name(this->count_, a, y); },  \
                   [this](const TypeParam* a, const TypeParam*, TypeParam* y) { \
                     caffe_gpu_##name(this->count_, a, y);                      \
                   },                                                           \
                   ##__VA_ARGS__)

#define EXPECT_SAME_OF_TWO(name)                                                  \
  this->ExpectSame([this](const TypeParam* a, const TypeParam* b,                 \
                          TypeParam* y) { caffe_##name(this->count_, a, b, y); }, \
                   [this](const TypeParam* a, const TypeParam* b, TypeParam* y) { \
                     caffe_gpu_##name(this->count_, a, b, y);                     \
                   })

TYPED_TEST(MathFunctionsGpu, ElementwiseFunctions) {
  EXPECT_SAME_OF_ONE(abs, false);
  EXPECT_SAME_OF_ONE(exp, false);
  EXPECT_SAME_OF_ONE(sqrt, true);
  EXPECT_SAME_OF_ONE(log, true);
  EXPECT_SAME_OF_TWO(add);
  EXPECT_SAME_OF_TWO(sub);
  EXPECT_SAME_OF_TWO(mul);
  EXPECT_SAME_OF_TWO(div);
  typedef const TypeParam* In;
  typedef TypeParam* Out;
  this->ExpectSame([this](In a, In, Out y) { caffe_cpu_sign(this->count_, a, y); },
                   [this](In a, In, Out y) { caffe_gpu_sign(this->count_, a, y); });
  this->ExpectSame([this](In a, In, Out y) { caffe_cpu_sgnbit(this->count_, a, y); },
                   [this](In a, In, Out y) { caffe_gpu_sgnbit(this->count_, a, y); });
  this->ExpectSame([this](In a, In, Out y) { caffe_cpu_fabs(this->count_, a, y); },
                   [this](In a, In, Out y) { caffe_gpu_fabs(this->count_, a, y); });
  this->ExpectSame([this](In a, In, Out y) { caffe_powx(this->count_, a, TypeParam(1.5), y); },
                   [this](In a, In, Out y) { caffe_gpu_powx(this->count_, a, TypeParam(1.5), y); },
                   true);
}

TYPED_TEST(MathFunctionsGpu, ScalingAndAdding) {
  typedef const TypeParam* In;
  typedef TypeParam* Out;
  const TypeParam u = 1.5, v = -0.75;
  this->ExpectSame([&](In a, In, Out y) { caffe_axpy(this->count_, u, a, y); },
                   [&](In a, In, Out y) { caffe_gpu_axpy(this->count_, u, a, y); });
  this->ExpectSame([&](In a, In, Out y) { caffe_cpu_axpby(this->count_, u, a, v, y); },
                   [&](In a, In, Out y) { caffe_gpu_axpby(this->count_, u, a, v, y); });
  this->ExpectSame([&](In a, In, Out y) { caffe_cpu_scale(this->count_, u, a, y); },
                   [&](In a, In, Out y) { caffe_gpu_scale(this->count_, u, a, y); });
  this->ExpectSame([&](In, In, Out y) { caffe_scal(this->count_, u, y); },
                   [&](In, In, Out y) { caffe_gpu_scal(this->count_, u, y); });
  this->ExpectSame([&](In, In, Out y) { caffe_add_scalar(this->count_, u, y); },
                   [&](In, In, Out y) { caffe_gpu_add_scalar(this->count_, u, y); });
  this->ExpectSame([&](In, In, Out y) { caffe_set(this->count_, u, y); },
                   [&](In, In, Out y) { caffe_gpu_set(this->count_, u, y); });
}

TYPED_TEST(MathFunctionsGpu, WithBetaZeroTheResultMayHoldAnything) {
  Blob<TypeParam> x(vector<int>{2}), y(vector<int>{2});
  testing::FillValues(&x, {TypeParam(1), TypeParam(2)});
  testing::FillValues(&y, {TypeParam(NAN), TypeParam(INFINITY)});
  caffe_gpu_axpby(2, TypeParam(3), x.gpu_data(), TypeParam(0), y.mutable_gpu_data());
  EXPECT_EQ(3, y.cpu_data()[0]);
  EXPECT_EQ(6, y.cpu_data()[1]);
}

TYPED_TEST(MathFunctionsGpu, SumsOfManyAreExact) {
  for (const int count : {0, 1, 1000, 100000}) {
    Blob<TypeParam> a(vector<int>{count}), b(vector<int>{count});
    testing::FillGaussian(&a, 1);
    testing::FillGaussian(&b, 2);
    TypeParam dot, asum;
    caffe_gpu_dot(count, a.gpu_data(), b.gpu_data(), &dot);
    caffe_gpu_asum(count, a.gpu_data(), &asum);
    const double tolerance = sizeof(TypeParam) == 4 ? 1e-6 : 1e-12;
    const TypeParam size = caffe_cpu_asum(count, a.cpu_data());
    EXPECT_NEAR(caffe_cpu_dot(count, a.cpu_data(), b.cpu_data()), dot, tolerance * (size + 1));
    EXPECT_NEAR(size, asum, tolerance * (size + 1));
  }
}

TYPED_TEST(MathFunctionsGpu, MatrixProducts) {
  const int m = 5, n = 7, k = 6;
  Blob<TypeParam> a(vector<int>{m * k}), b(vector<int>{k * n}), cpu(vector<int>{m * n}),
      gpu(vector<int>{m * n}), y(vector<int>{m * k}), z(vector<int>{m * k});
  const double tolerance = sizeof(TypeParam) == 4 ? 2e-3 : 1e-12;  // TF32 on a GPU
  testing::FillGaussian(&a, 1);
  testing::FillGaussian(&b, 2);
  for (auto first : {CblasNoTrans, CblasTrans}) {
    for (auto second : {CblasNoTrans, CblasTrans}) {
      testing::FillGaussian(&cpu, 3);
      testing::FillGaussian(&gpu, 3);
      caffe_cpu_gemm<TypeParam>(first, second, m, n, k, 0.5, a.cpu_data(), b.cpu_data(), 2,
                                cpu.mutable_cpu_data());
      caffe_gpu_gemm<TypeParam>(first, second, m, n, k, 0.5, a.gpu_data(), b.gpu_data(), 2,
                                gpu.mutable_gpu_data());
      EXPECT_LT(testing::RelativeError(gpu.cpu_data(), cpu.cpu_data(), m * n), tolerance);
    }
    testing::FillGaussian(&y, 4);
    testing::FillGaussian(&z, 4);
    caffe_cpu_gemv<TypeParam>(first, m, k, 0.5, a.cpu_data(), b.cpu_data(), 2,
                              y.mutable_cpu_data());
    caffe_gpu_gemv<TypeParam>(first, m, k, 0.5, a.gpu_data(), b.gpu_data(), 2,
                              z.mutable_gpu_data());
    EXPECT_LT(testing::RelativeError(z.cpu_data(), y.cpu_data(), m), tolerance);
  }
}

// Five standard deviations of the sample moments.
TYPED_TEST(MathFunctionsGpu, RandomNumbersHaveTheirMoments) {
  const int count = 100001;
  Blob<TypeParam> values(vector<int>{count});
  const auto moments = [&](double* mean, double* variance) {
    const TypeParam* v = values.cpu_data();
    double sum = 0, squares = 0;
    for (int i = 0; i < count; ++i) sum += v[i];
    *mean = sum / count;
    for (int i = 0; i < count; ++i) squares += (v[i] - *mean) * (v[i] - *mean);
    *variance = squares / count;
  };
  double mean, variance;
  Caffe::set_random_seed(4);
  caffe_gpu_rng_uniform<TypeParam>(count, -1, 3, values.mutable_gpu_data());
  moments(&mean, &variance);
  EXPECT_NEAR(1, mean, 5 * std::sqrt(16 / 12.0 / count));
  EXPECT_NEAR(16 / 12.0, variance, 0.02);
  caffe_gpu_rng_gaussian<TypeParam>(count, 2, 3, values.mutable_gpu_data());
  moments(&mean, &variance);
  EXPECT_NEAR(2, mean, 5 * 3 / std::sqrt(count));
  EXPECT_NEAR(9, variance, 5 * 9 * std::sqrt(2.0 / count));
  const TypeParam first = values.cpu_data()[0];
  caffe_gpu_rng_gaussian<TypeParam>(count, 2, 3, values.mutable_gpu_data());
  EXPECT_NE(first, values.cpu_data()[0]);
  Blob<int> drawn(vector<int>{count});
  caffe_gpu_rng_bernoulli<TypeParam>(count, 0.3, drawn.mutable_gpu_data());
  double ones = 0;
  for (int i = 0; i < count; ++i) ones += drawn.cpu_data()[i];
  EXPECT_NEAR(0.3, ones / count, 5 * std::sqrt(0.21 / count));
}

}  // namespace
}  // namespace caffe

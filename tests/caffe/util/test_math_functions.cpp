#include "caffe/util/math_functions.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "testing/blob_util.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

template <typename Dtype>
class MathFunctionsTest : public ::testing::Test {
 protected:
  typedef std::vector<Dtype> Values;

  void SetUp() override {
    Caffe::set_random_seed(1701);
    a_.Reshape(std::vector<int>{60});
    b_.Reshape(std::vector<int>{60});
    FillGaussian<Dtype>(&a_, 1);
    FillGaussian<Dtype>(&b_, 2);
  }
  const Dtype* a() { return a_.cpu_data(); }
  const Dtype* b() { return b_.cpu_data(); }

  Blob<Dtype> a_, b_;
};
typedef ::testing::Types<float, double> Types;
TYPED_TEST_SUITE(MathFunctionsTest, Types);

TYPED_TEST(MathFunctionsTest, Gemm) {
  const int m = 3, n = 4, k = 5;
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      std::vector<TypeParam> c(m * n, 1);
      caffe_cpu_gemm<TypeParam>(ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m,
                                n, k, 2, this->a(), this->b(), 3, c.data());
      for (int i = 0; i < m; ++i) {
        for (int j = 0; j < n; ++j) {
          double sum = 0;
          for (int l = 0; l < k; ++l) {
            sum += double(this->a()[ta ? l * m + i : i * k + l]) *
                   this->b()[tb ? j * k + l : l * n + j];
          }
          ASSERT_NEAR(2 * sum + 3, c[i * n + j], 1e-5);
        }
      }
    }
  }
}

TYPED_TEST(MathFunctionsTest, Gemv) {
  const int m = 3, n = 5;
  for (const bool transposed : {false, true}) {
    const int rows = transposed ? n : m, columns = transposed ? m : n;
    std::vector<TypeParam> y(rows, 1);
    caffe_cpu_gemv<TypeParam>(transposed ? CblasTrans : CblasNoTrans, m, n, 2, this->a(), this->b(),
                              -1, y.data());
    for (int i = 0; i < rows; ++i) {
      double sum = 0;
      for (int j = 0; j < columns; ++j) {
        sum += double(this->a()[transposed ? j * n + i : i * n + j]) * this->b()[j];
      }
      ASSERT_NEAR(2 * sum - 1, y[i], 1e-5);
    }
  }
}

TYPED_TEST(MathFunctionsTest, LinearCombinations) {
  typedef std::vector<TypeParam> V;
  const V x = {1, 2, 3};
  V y = {10, 20, 30};
  caffe_axpy<TypeParam>(3, 2, x.data(), y.data());
  EXPECT_EQ((V{12, 24, 36}), y);
  caffe_cpu_axpby<TypeParam>(3, 1, x.data(), TypeParam(0.5), y.data());
  EXPECT_EQ((V{7, 14, 21}), y);
  caffe_scal<TypeParam>(3, -1, y.data());
  EXPECT_EQ((V{-7, -14, -21}), y);
  caffe_add_scalar<TypeParam>(3, 7, y.data());
  EXPECT_EQ((V{0, -7, -14}), y);
  caffe_cpu_scale<TypeParam>(3, 3, x.data(), y.data());
  EXPECT_EQ((V{3, 6, 9}), y);
  caffe_copy<TypeParam>(3, x.data(), y.data());
  EXPECT_EQ(x, y);
  caffe_set<TypeParam>(3, 4, y.data());
  EXPECT_EQ((V{4, 4, 4}), y);
  caffe_set<TypeParam>(3, 0, y.data());
  EXPECT_EQ((V{0, 0, 0}), y);
  caffe_memset(2 * sizeof(TypeParam), 0, y.data());
  EXPECT_EQ(0, y[0]);
}

TYPED_TEST(MathFunctionsTest, ElementByElement) {
  typedef std::vector<TypeParam> V;
  const V x = {1, 4, 9}, z = {2, -2, 3};
  V y(3);
  caffe_add<TypeParam>(3, x.data(), z.data(), y.data());
  EXPECT_EQ((V{3, 2, 12}), y);
  caffe_sub<TypeParam>(3, x.data(), z.data(), y.data());
  EXPECT_EQ((V{-1, 6, 6}), y);
  caffe_mul<TypeParam>(3, x.data(), z.data(), y.data());
  EXPECT_EQ((V{2, -8, 27}), y);
  caffe_div<TypeParam>(3, x.data(), z.data(), y.data());
  EXPECT_EQ((V{0.5, -2, 3}), y);
  caffe_sqr<TypeParam>(3, z.data(), y.data());
  EXPECT_EQ((V{4, 4, 9}), y);
  caffe_sqrt<TypeParam>(3, x.data(), y.data());
  EXPECT_EQ((V{1, 2, 3}), y);
  caffe_abs<TypeParam>(3, z.data(), y.data());
  EXPECT_EQ((V{2, 2, 3}), y);
  caffe_cpu_sign<TypeParam>(3, z.data(), y.data());
  EXPECT_EQ((V{1, -1, 1}), y);
  caffe_cpu_sgnbit<TypeParam>(3, z.data(), y.data());
  EXPECT_EQ((V{0, 1, 0}), y);
  caffe_cpu_fabs<TypeParam>(3, z.data(), y.data());
  EXPECT_EQ((V{2, 2, 3}), y);
  caffe_powx<TypeParam>(3, x.data(), TypeParam(1.5), y.data());
  EXPECT_NEAR(27, y[2], 1e-4);
  caffe_exp<TypeParam>(3, z.data(), y.data());
  EXPECT_NEAR(std::exp(2), y[0], 1e-5);
  caffe_log<TypeParam>(3, x.data(), y.data());
  EXPECT_NEAR(std::log(9), y[2], 1e-6);
  EXPECT_EQ(0, caffe_sign(TypeParam(0)));
}

TYPED_TEST(MathFunctionsTest, Sums) {
  const TypeParam x[] = {1, -2, 3, -4}, y[] = {5, 6, 7, 8};
  EXPECT_EQ(5 - 12 + 21 - 32, caffe_cpu_dot(4, x, y));
  EXPECT_EQ(1 * 5 + 3 * 6, caffe_cpu_strided_dot(2, x, 2, y, 1));
  EXPECT_EQ(10, caffe_cpu_asum(4, x));
}

TYPED_TEST(MathFunctionsTest, NextAfter) {
  EXPECT_GT(caffe_nextafter(TypeParam(1)), TypeParam(1));
  EXPECT_LT(caffe_nextafter(TypeParam(1)), TypeParam(1.000001));
}

TYPED_TEST(MathFunctionsTest, RandomNumbers) {
  const int n = 10001;
  std::vector<TypeParam> r(n);
  double sum = 0, squares = 0;
  caffe_rng_uniform<TypeParam>(n, -1, 3, r.data());
  for (TypeParam v : r) {
    ASSERT_TRUE(v >= -1 && v <= 3);
    sum += v;
  }
  EXPECT_NEAR(1, sum / n, 0.06);
  caffe_rng_gaussian<TypeParam>(n, 2, 3, r.data());
  sum = 0;
  for (TypeParam v : r) {
    sum += v;
    squares += (double(v) - 2) * (v - 2);
  }
  EXPECT_NEAR(2, sum / n, 0.15);
  EXPECT_NEAR(9, squares / n, 0.65);
  std::vector<int> flags(n);
  caffe_rng_bernoulli<TypeParam>(n, TypeParam(0.3), flags.data());
  int ones = 0;
  for (int flag : flags) {
    ASSERT_TRUE(flag == 0 || flag == 1);
    ones += flag;
  }
  EXPECT_NEAR(0.3, double(ones) / n, 0.023);
}

// Number 5,308,307 of this seed is the largest there is.
TYPED_TEST(MathFunctionsTest, BernoulliOfOneIsAlways) {
  Caffe::set_random_seed(1);
  std::vector<int> flags(5400000);
  caffe_rng_bernoulli<TypeParam>(static_cast<int>(flags.size()), 1, flags.data());
  EXPECT_EQ(0, std::count(flags.begin(), flags.end(), 0));
  caffe_rng_bernoulli<TypeParam>(1000, 0, flags.data());
  EXPECT_EQ(1000, std::count(flags.begin(), flags.begin() + 1000, 0));
}

}  // namespace
}  // namespace caffe

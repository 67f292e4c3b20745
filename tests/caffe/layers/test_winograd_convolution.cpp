#include "caffe/layers/winograd_convolution.hpp"

#include <omp.h>

#include <cstring>

#include "caffe/layers/dnnl_convolution.hpp"
#include "testing/blob_util.hpp"
#include "util/channel_blocks.hpp"

namespace caffe {

// The kernels for vectors of 8 and of 16 in whatever instructions this file is compiled for: others
// than this processor's are tested, too.
namespace narrow {
constexpr int kBlock = 8;
constexpr int kRows = 6;
#include "caffe/layers/winograd_kernels.inl"
const WinogradKernels* Kernels(int tile) {
  return tile == 2 ? &kKernels2 : &kKernels4;
}
}  // namespace narrow

namespace wide {
constexpr int kBlock = 16;
constexpr int kRows = 12;
#include "caffe/layers/winograd_kernels.inl"
const WinogradKernels* Kernels(int tile) {
  return tile == 2 ? &kKernels2 : &kKernels4;
}
}  // namespace wide

namespace testing {
namespace {

ConvGeometry Geometry(int num, int in, int h, int w, int out, int pad, bool bias) {
  ConvGeometry g;
  g.num = num;
  g.in_channels = in;
  g.in_h = h;
  g.in_w = w;
  g.out_channels = out;
  g.kernel_h = g.kernel_w = 3;
  g.pad_h = g.pad_w = pad;
  g.out_h = h + 2 * pad - 2;
  g.out_w = w + 2 * pad - 2;
  g.bias = bias;
  return g;
}

/// All results of a convolution on the same numbers, in plain layout.
struct Results {
  Blob<float> y, dx, dw, db;
};

void Compute(FloatConvolution&& convolution, Results* r) {
  const ConvGeometry& g = convolution.geometry();
  Blob<float> x(g.num, g.in_channels, g.in_h, g.in_w), w(g.out_channels, g.in_channels, 3, 3);
  Blob<float> b(std::vector<int>{g.out_channels}), dy(g.num, g.out_channels, g.out_h, g.out_w);
  FillGaussian<float>(&x, 1, 1, 1);
  FillGaussian<float>(&w, 2);
  FillGaussian<float>(&b, 3);
  FillGaussian<float>(&dy, 4);
  r->y.ReshapeLike(dy);
  r->dx.ReshapeLike(x);
  r->dw.ReshapeLike(w);
  r->db.ReshapeLike(b);
  const int src = convolution.src_block(), dst = convolution.dst_block();
  convolution.Forward(x.cpu_data(src), w.cpu_data(), g.bias ? b.cpu_data() : nullptr,
                      r->y.overwrite_cpu_data(dst));
  convolution.BackwardData(dy.cpu_data(dst), w.cpu_data(), r->dx.overwrite_cpu_data(src));
  caffe_set(r->dw.count(), 1.0f, r->dw.mutable_cpu_data());
  caffe_set(r->db.count(), 1.0f, r->db.mutable_cpu_data());
  convolution.BackwardWeights(x.cpu_data(src), dy.cpu_data(dst), r->dw.mutable_cpu_data(),
                              g.bias ? r->db.mutable_cpu_data() : nullptr);
}

void ExpectClose(const Results& actual, const Results& expected, double tolerance) {
  const auto error = [](const Blob<float>& a, const Blob<float>& b) {
    return RelativeError(a.cpu_data(), b.cpu_data(), a.count());
  };
  EXPECT_LE(error(actual.y, expected.y), tolerance);
  EXPECT_LE(error(actual.dx, expected.dx), tolerance);
  EXPECT_LE(error(actual.dw, expected.dw), tolerance);
  EXPECT_LE(error(actual.db, expected.db), tolerance);
}

class WinogradConvolutionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!BestWinogradKernels(4)) GTEST_SKIP() << "for this processor there are no kernels";
  }
  ~WinogradConvolutionTest() override { omp_set_num_threads(threads_); }
  const int threads_ = omp_get_max_threads();
};

TEST_F(WinogradConvolutionTest, IsTheDirectSumForAnyNumberOfThreads) {
  // The last ones have sums of the weights' gradient too large for one copy per thread.
  for (const ConvGeometry& g :
       {Geometry(3, 16, 9, 10, 24, 1, true), Geometry(7, 40, 2, 2, 16, 1, false),
        Geometry(40, 16, 16, 16, 16, 0, true), Geometry(2, 136, 8, 6, 264, 1, true),
        Geometry(9, 264, 2, 2, 520, 1, false)}) {
    SCOPED_TRACE(::testing::Message() << g.in_channels << " -> " << g.out_channels << " channels");
    ASSERT_TRUE(WinogradConvolution::Suits(g));
    Results direct;
    Compute(DnnlConvolution(g), &direct);
    for (const int threads : {1, 2, 3, 5}) {
      SCOPED_TRACE(threads);
      omp_set_num_threads(threads);
      Results fast;
      Compute(WinogradConvolution(g), &fast);
      ExpectClose(fast, direct, 1e-5);
    }
  }
}

TEST(WinogradKernels, VectorsOf8And16) {
  for (const ConvGeometry& g :
       {Geometry(3, 16, 9, 10, 24, 1, true), Geometry(7, 40, 2, 2, 16, 1, false),
        Geometry(2, 136, 8, 6, 264, 2, true)}) {
    SCOPED_TRACE(::testing::Message() << g.in_channels << " -> " << g.out_channels << " channels");
    Results direct;
    Compute(DnnlConvolution(g), &direct);
    for (const auto kernels : {narrow::Kernels, wide::Kernels}) {
      SCOPED_TRACE(kernels(2)->block);
      Results fast;
      Compute(WinogradConvolution(g, kernels), &fast);
      ExpectClose(fast, direct, 1e-5);
    }
  }
}

TEST_F(WinogradConvolutionTest, RepeatsItselfToTheBit) {
  const ConvGeometry g = Geometry(5, 24, 13, 12, 40, 1, true);
  omp_set_num_threads(2);
  Results first, second;
  Compute(WinogradConvolution(g), &first);
  Compute(WinogradConvolution(g), &second);
  ExpectClose(first, second, 0);
}

TEST_F(WinogradConvolutionTest, SuitsDense3x3OfStride1) {
  const ConvGeometry good = Geometry(1, 16, 8, 8, 16, 1, false);
  EXPECT_TRUE(WinogradConvolution::Suits(good));
  const auto with = [&good](int ConvGeometry::*field, int value) {
    ConvGeometry g = good;
    g.*field = value;
    return g;
  };
  EXPECT_FALSE(WinogradConvolution::Suits(with(&ConvGeometry::kernel_h, 1)));
  EXPECT_FALSE(WinogradConvolution::Suits(with(&ConvGeometry::kernel_w, 5)));
  EXPECT_FALSE(WinogradConvolution::Suits(with(&ConvGeometry::stride_h, 2)));
  EXPECT_FALSE(WinogradConvolution::Suits(with(&ConvGeometry::stride_w, 2)));
  EXPECT_FALSE(WinogradConvolution::Suits(with(&ConvGeometry::dilation_h, 2)));
  EXPECT_FALSE(WinogradConvolution::Suits(with(&ConvGeometry::dilation_w, 2)));
  EXPECT_FALSE(WinogradConvolution::Suits(with(&ConvGeometry::group, 2)));
  EXPECT_FALSE(WinogradConvolution::Suits(with(&ConvGeometry::pad_h, 3)));
  EXPECT_FALSE(WinogradConvolution::Suits(with(&ConvGeometry::in_channels, 3)));
  EXPECT_FALSE(WinogradConvolution::Suits(with(&ConvGeometry::out_channels, 2)));
  // A tile for a single pixel computes more than it saves.
  EXPECT_FALSE(WinogradConvolution::Suits(Geometry(1, 16, 1, 1, 16, 1, false)));
}

TEST_F(WinogradConvolutionTest, TheEngineCaffeKeepsToTheDirectSum) {
  const ConvGeometry g = Geometry(1, 16, 8, 8, 16, 1, false);
  EXPECT_TRUE(dynamic_cast<WinogradConvolution*>(FloatConvolution::Create(g, false).get()));
  EXPECT_TRUE(dynamic_cast<DnnlConvolution*>(FloatConvolution::Create(g, true).get()));
}

}  // namespace
}  // namespace testing
}  // namespace caffe

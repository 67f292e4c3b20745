#include "caffe/layers/depthwise_gradient.hpp"

#include <omp.h>

#include "testing/blob_util.hpp"

namespace caffe {
namespace testing {
namespace {

ConvGeometry Depthwise(int num, int channels, int h, int w) {
  ConvGeometry g;
  g.num = num;
  g.in_channels = g.out_channels = g.group = channels;
  g.in_h = h;
  g.in_w = w;
  g.kernel_h = g.kernel_w = 3;
  g.pad_h = g.pad_w = 1;
  return g;
}

ConvGeometry WithOutputs(ConvGeometry g) {
  g.out_h = (g.in_h + 2 * g.pad_h - g.dilation_h * (g.kernel_h - 1) - 1) / g.stride_h + 1;
  g.out_w = (g.in_w + 2 * g.pad_w - g.dilation_w * (g.kernel_w - 1) - 1) / g.stride_w + 1;
  return g;
}

std::vector<ConvGeometry> Cases() {
  std::vector<ConvGeometry> cases = {Depthwise(5, 40, 2, 2), Depthwise(3, 16, 1, 1),
                                     Depthwise(2, 7, 6, 5), Depthwise(4, 33, 1, 3)};
  ConvGeometry strided = Depthwise(3, 24, 5, 4);
  strided.stride_h = 2;
  strided.stride_w = 3;
  cases.push_back(strided);
  // Elements of the kernel that no output takes from within the image.
  ConvGeometry wide = Depthwise(2, 18, 2, 3);
  wide.kernel_h = 5;
  wide.kernel_w = 2;
  wide.pad_h = 4;
  wide.pad_w = 3;
  wide.dilation_h = 2;
  wide.dilation_w = 3;
  cases.push_back(wide);
  for (ConvGeometry& g : cases) g = WithOutputs(g);
  return cases;
}

// The definition, in double, added to 1.
std::vector<double> Naive(const ConvGeometry& g, const Blob<float>& x, const Blob<float>& dy) {
  std::vector<double> dw(size_t(g.in_channels) * g.kernel_h * g.kernel_w, 1);
  for (int n = 0; n < g.num; ++n) {
    for (size_t k = 0; k < dw.size(); ++k) {
      const int c = k / (g.kernel_h * g.kernel_w);
      const int i = k / g.kernel_w % g.kernel_h, j = k % g.kernel_w;
      for (int o = 0; o < g.out_h * g.out_w; ++o) {
        const int row = o / g.out_w * g.stride_h - g.pad_h + i * g.dilation_h;
        const int column = o % g.out_w * g.stride_w - g.pad_w + j * g.dilation_w;
        if (row < 0 || row >= g.in_h || column < 0 || column >= g.in_w) continue;
        dw[k] += double(dy.data_at(n, c, o / g.out_w, o % g.out_w)) * x.data_at(n, c, row, column);
      }
    }
  }
  return dw;
}

class DepthwiseGradientTest : public ::testing::Test {
 protected:
  ~DepthwiseGradientTest() override { omp_set_num_threads(threads_); }
  const int threads_ = omp_get_max_threads();
};

TEST_F(DepthwiseGradientTest, IsTheDefinitionForBlocksAndThreads) {
  for (const ConvGeometry& g : Cases()) {
    ASSERT_GT(g.out_h, 0);
    ASSERT_GT(g.out_w, 0);
    Blob<float> x(g.num, g.in_channels, g.in_h, g.in_w);
    Blob<float> dy(g.num, g.in_channels, g.out_h, g.out_w);
    FillGaussian<float>(&x, 1, 1, 1);
    FillGaussian<float>(&dy, 2);
    const std::vector<double> expected = Naive(g, x, dy);
    std::vector<double> expected_bias(g.in_channels, 1);
    for (int i = 0; i < dy.count(); ++i) {
      expected_bias[i / (g.out_h * g.out_w) % g.in_channels] += dy.cpu_data()[i];
    }
    for (const int block : {1, 8, 16}) {
      for (const int threads : {1, 3}) {
        SCOPED_TRACE(::testing::Message()
                     << g.in_channels << " channels of " << g.in_h << "x" << g.in_w << ", block "
                     << block << ", " << threads << " threads");
        omp_set_num_threads(threads);
        std::vector<float> dw(expected.size(), 1), db(g.in_channels, 1), bias_only(db);
        AddDepthwiseGradient(g, block, x.cpu_data(block), dy.cpu_data(block), dw.data(), db.data());
        AddDepthwiseGradient(g, block, x.cpu_data(block), dy.cpu_data(block), nullptr,
                             bias_only.data());
        for (size_t k = 0; k < dw.size(); ++k) ASSERT_NEAR(expected[k], dw[k], 1e-4) << k;
        for (size_t c = 0; c < db.size(); ++c) ASSERT_NEAR(expected_bias[c], db[c], 1e-4) << c;
        EXPECT_EQ(db, bias_only);
      }
    }
  }
}

TEST(IsDepthwise, AKernelOfItsOwnForEachChannel) {
  ConvGeometry g = WithOutputs(Depthwise(1, 8, 4, 4));
  EXPECT_TRUE(IsDepthwise(g));
  g.out_channels = 16;  // two outputs of each channel
  EXPECT_FALSE(IsDepthwise(g));
  g.out_channels = 8;
  g.group = 4;
  EXPECT_FALSE(IsDepthwise(g));
}

}  // namespace
}  // namespace testing
}  // namespace caffe

#include "layers/cutout_layer.hpp"

#include "testing/gradient_checker.hpp"
#include "testing/noise_util.hpp"

namespace caffe {
namespace testing {
namespace {

const char kFour[] = "name: 'cut' type: 'Cutout' cutout_param { length: 4 }";

TEST(CutoutLayer, OneSquarePerImageOverAllChannels) {
  Caffe::set_random_seed(5);
  Blob<float> x(200, 3, 9, 12);
  FillConstant(&x, 2.f);
  LayerRun<float> run(LayerFromText(kFour), {&x});
  run.Forward();
  const float* y = run.top[0]->cpu_data();
  int whole = 0;
  for (int n = 0; n < 200; ++n) {
    int first_h = 99, last_h = -1, first_w = 99, last_w = -1, zeros = 0;
    for (int h = 0; h < 9; ++h) {
      for (int w = 0; w < 12; ++w) {
        const float value = y[x.offset(n, 0, h, w)];
        for (int c = 1; c < 3; ++c) ASSERT_EQ(value, y[x.offset(n, c, h, w)]);
        if (value == 2) continue;
        ASSERT_EQ(0, value);
        ++zeros;
        first_h = std::min(first_h, h);
        last_h = std::max(last_h, h);
        first_w = std::min(first_w, w);
        last_w = std::max(last_w, w);
      }
    }
    const int rows = last_h - first_h + 1, columns = last_w - first_w + 1;
    ASSERT_EQ(zeros, rows * columns) << n;
    // Shorter only where the border clips it.
    ASSERT_TRUE(rows == 4 || (rows >= 2 && rows < 4 && (first_h == 0 || last_h == 8))) << rows;
    ASSERT_TRUE(columns == 4 || (columns >= 2 && columns < 4 && (first_w == 0 || last_w == 11)));
    whole += zeros == 16;
  }
  EXPECT_GT(whole, 60);
  EXPECT_LT(whole, 190);
}

// A pixel is cut by those centres, of H W, whose square covers it; five standard errors.
TEST(CutoutLayer, CentresAreUniform) {
  Caffe::set_random_seed(6);
  const int height = 6, width = 7, images = 500, passes = 8;
  for (const int length : {3, 4}) {
    Blob<double> x(images, 1, height, width);
    FillConstant(&x, 1.0);
    LayerRun<double> run(
        LayerFromText("type: 'Cutout' cutout_param { length: " + std::to_string(length) + " }"),
        {&x});
    std::vector<int> cut(height * width);
    for (int pass = 0; pass < passes; ++pass) {
      run.Forward();
      for (int i = 0; i < x.count(); ++i) {
        cut[i % (height * width)] += run.top[0]->cpu_data()[i] == 0;
      }
    }
    for (int h = 0; h < height; ++h) {
      for (int w = 0; w < width; ++w) {
        int covering = 0;
        for (int y = 0; y < height; ++y) {
          for (int z = 0; z < width; ++z) {
            const int top = y - length / 2, left = z - length / 2;
            covering += h >= top && h < top + length && w >= left && w < left + length;
          }
        }
        const double p = double(covering) / (height * width), n = images * passes;
        EXPECT_NEAR(p, cut[h * width + w] / n, 5 * std::sqrt(p * (1 - p) / n)) << h << " " << w;
      }
    }
  }
}

TEST(CutoutLayer, MoreThanTheImage) {
  Blob<float> x(3, 2, 4, 4);
  FillConstant(&x, 1.f);
  LayerRun<float> run(LayerFromText("type: 'Cutout'"), {&x});  // 16
  run.Forward();
  EXPECT_EQ(std::vector<float>(x.count(), 0.f), DataOf(*run.top[0]));
}

TEST(CutoutLayer, IdentityInTest) {
  Blob<float> x(3, 2, 6, 6);
  FillGaussian(&x, 1);
  const auto result = ThirdPass<float>(std::string(kFour) + " phase: TEST", x);
  EXPECT_EQ(DataOf(x), result[0]);
  EXPECT_EQ(DataOf(x), result[1]);
}

TEST(CutoutLayer, Gradient) {
  Blob<double> x(2, 2, 6, 5), y;
  FillGaussian(&x, 1);
  const auto layer = LayerRegistry<double>::CreateLayer(LayerFromText(kFour));
  GradientChecker<double>(1e-4, 1e-8).CheckGradientEltwise(layer.get(), {&x}, {&y});
}

TEST(CutoutLayer, SameForAnyThreadsAndInPlace) {
  Blob<float> x(7, 3, 8, 9);
  FillGaussian(&x, 2);
  ExpectSameEverywhere(kFour, x, {}, true, false);
}

TEST(CutoutLayer, NewChoicesPerPass) {
  Blob<float> x(8, 1, 16, 16);
  FillGaussian(&x, 3);
  ExpectNewChoicesPerPass<float>(kFour, {&x});
}

TEST(CutoutLayer, Mistakes) {
  Blob<float> x(2, 3, 4, 4), flat(std::vector<int>{2, 3});
  EXPECT_ERROR(LayerRun<float>(LayerFromText("type: 'Cutout' cutout_param { length: 0 }"), {&x}),
               "length is 0");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(kFour), {&flat}), "2 3 (6)");
}

}  // namespace
}  // namespace testing
}  // namespace caffe

#include "caffe/layers/pooling_layer.hpp"

#include "testing/gradient_checker.hpp"
#include "testing/layer_result.hpp"

namespace caffe {
namespace testing {
namespace {

std::string Pool(const std::string& settings) {
  return "name: 'p' type: 'Pooling' pooling_param { " + settings + " }";
}

// Each is run as a maximum and as an average. Extents: the bottom's and the top's.
const struct Case {
  const char* settings;
  std::vector<int> in, out;
} kCases[] = {{"kernel_size: 2 stride: 2", {4, 6}, {2, 3}},
              {"kernel_size: 2 stride: 2", {5, 7}, {3, 4}},
              {"kernel_size: 2 stride: 2 round_mode: FLOOR", {5, 7}, {2, 3}},
              {"kernel_size: 3 stride: 2", {8, 7}, {4, 3}},
              {"kernel_size: 3 stride: 2 pad: 1", {8, 7}, {5, 4}},
              {"kernel_size: 3 pad: 2", {4, 1}, {6, 3}},
              {"kernel_size: 4 stride: 3 pad: 2", {5, 6}, {3, 3}},
              {"kernel_h: 1 kernel_w: 3 pad_h: 0 pad_w: 1 stride_h: 2 stride_w: 1", {5, 6}, {3, 6}},
              {"kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1", {7, 5}, {3, 4}},
              // The last window would lie in the padding, or beyond the image.
              {"kernel_size: 2 stride: 2 pad: 1", {3, 5}, {2, 3}},
              {"kernel_size: 1 stride: 2", {4, 5}, {2, 3}},
              {"kernel_size: 1 stride: 3 pad: 0", {5, 8}, {2, 3}},
              {"kernel_size: 1", {1, 1}, {1, 1}},
              // A window larger than the image, by less than a stride.
              {"kernel_size: 4 stride: 2", {3, 5}, {1, 2}},
              {"kernel_size: 7 stride: 4 pad: 1", {2, 3}, {1, 1}},
              {"global_pooling: true", {3, 5}, {1, 1}}};

template <typename Dtype>
class PoolingLayerTest : public ::testing::Test {
 protected:
  void ExpectRow(const std::string& settings, const std::vector<Dtype>& x,
                 const std::vector<Dtype>& expected) {
    SCOPED_TRACE(settings);
    Blob<Dtype> bottom(1, 1, 1, static_cast<int>(x.size()));
    FillValues<Dtype>(&bottom, x);
    LayerRun<Dtype> run(LayerFromText(Pool("kernel_h: 1 " + settings)), {&bottom});
    run.Forward();
    ASSERT_EQ(expected.size(), static_cast<size_t>(run.top[0]->count()));
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(expected[i], run.top[0]->cpu_data()[i], 1e-6) << i;
    }
  }
};
typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(PoolingLayerTest, Dtypes);

TYPED_TEST(PoolingLayerTest, Maximum) {
  this->ExpectRow("kernel_w: 3", {1, 5, 2, 4, 3}, {5, 5, 4});
  this->ExpectRow("kernel_w: 2 stride_h: 1 stride_w: 2", {1, 5, 2, 4, 3}, {5, 4, 3});
  this->ExpectRow("kernel_w: 3 stride_h: 1 stride_w: 2 pad_h: 0 pad_w: 1", {-1, -5, -2, -4},
                  {-1, -2, -4});
}

TYPED_TEST(PoolingLayerTest, AverageCountsThePaddingAndNothingBeyond) {
  this->ExpectRow("pool: AVE kernel_w: 3", {1, 5, 3, 4}, {3, 4});
  this->ExpectRow("pool: AVE kernel_w: 2 stride_h: 1 stride_w: 2", {1, 5, 2, 4, 3}, {3, 3, 3});
  // Pixels 3 and the padding behind it, which ends there.
  this->ExpectRow("pool: AVE kernel_w: 3 stride_h: 1 stride_w: 2 pad_h: 0 pad_w: 1", {1, 2, 3, 4},
                  {1, 3, 2});
  this->ExpectRow("pool: AVE kernel_w: 3 pad_h: 0 pad_w: 2", {3, 6}, {1, 3, 3, 2});
}

TYPED_TEST(PoolingLayerTest, WindowsCoverTheirPixels) {
  for (const Case& c : kCases) {
    for (const bool average : {false, true}) {
      SCOPED_TRACE(std::string(c.settings) + (average ? ", AVE" : ", MAX"));
      const LayerParameter layer =
          LayerFromText(Pool(c.settings + std::string(average ? " pool: AVE" : "")));
      const PoolingParameter& param = layer.pooling_param();
      Blob<TypeParam> x(2, 3, c.in[0], c.in[1]);
      FillGaussian<TypeParam>(&x, 1, -1, 1);
      LayerRun<TypeParam> run(layer, {&x}, average ? 1 : 2);
      run.Forward();
      ASSERT_EQ((std::vector<int>{2, 3, c.out[0], c.out[1]}), run.top[0]->shape());
      // [first, last) of a window, within image and padding.
      const auto range = [&](int axis, int at) {
        if (param.global_pooling()) return std::make_pair(0, c.in[axis]);
        const bool w = axis == 1;
        const int kernel = w && param.has_kernel_w()    ? param.kernel_w()
                           : !w && param.has_kernel_h() ? param.kernel_h()
                                                        : param.kernel_size();
        const int stride = w && param.has_stride_w()    ? param.stride_w()
                           : !w && param.has_stride_h() ? param.stride_h()
                                                        : param.stride();
        const int pad = w && param.has_pad_w() ? param.pad_w() : param.pad();
        return std::make_pair(at * stride - pad,
                              std::min(at * stride - pad + kernel, c.in[axis] + pad));
      };
      for (int i = 0; i < run.top[0]->count(); ++i) {
        const auto rows = range(0, i / c.out[1] % c.out[0]), columns = range(1, i % c.out[1]);
        const TypeParam* plane = x.cpu_data() + i / (c.out[0] * c.out[1]) * c.in[0] * c.in[1];
        double sum = 0, largest = -HUGE_VAL;
        int area = 0, largest_at = -1;
        for (int y = rows.first; y < rows.second; ++y) {
          for (int z = columns.first; z < columns.second; ++z, ++area) {
            if (y < 0 || y >= c.in[0] || z < 0 || z >= c.in[1]) continue;
            sum += plane[y * c.in[1] + z];
            if (plane[y * c.in[1] + z] > largest) {
              largest_at = y * c.in[1] + z;
              largest = plane[largest_at];
            }
          }
        }
        ASSERT_NEAR(average ? sum / area : largest, run.top[0]->cpu_data()[i], 1e-5) << i;
        if (!average) {
          ASSERT_EQ(largest_at, run.top[1]->cpu_data()[i]) << i;
        }
      }
    }
  }
}

TYPED_TEST(PoolingLayerTest, MaskIsTheFirstMaximum) {
  Blob<TypeParam> x(1, 2, 2, 4);
  FillValues<TypeParam>(&x, {1, 3, 5, 2, 3, 2, 4, 5, 0, 0, -1, -2, 0, 1, -4, -2});
  LayerRun<TypeParam> run(LayerFromText(Pool("kernel_size: 2 stride: 2")), {&x}, 2);
  run.Forward();
  const TypeParam expected[] = {1, 2, 5, 2};
  ASSERT_EQ(run.top[0]->shape(), run.top[1]->shape());
  for (int i = 0; i < 4; ++i) EXPECT_EQ(expected[i], run.top[1]->cpu_data()[i]);
  FillValues<TypeParam>(run.top[0], {10, 20, 30, 40});
  SetDiff(*run.top[0], run.top[0]);
  run.Backward();
  const TypeParam gradient[] = {0, 10, 20, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 30, 0, 0};
  for (int i = 0; i < 16; ++i) EXPECT_EQ(gradient[i], x.cpu_diff()[i]) << i;
}

TYPED_TEST(PoolingLayerTest, BackwardOverwritesTheBottomsGradientOrLeavesIt) {
  for (const char* method : {"MAX", "AVE"}) {
    Blob<TypeParam> x(1, 1, 1, 2);
    FillValues<TypeParam>(&x, {1, 2});
    LayerRun<TypeParam> run(
        LayerFromText(Pool(std::string("global_pooling: true pool: ") + method)), {&x});
    run.Forward();
    run.top[0]->mutable_cpu_diff()[0] = 8;
    for (int i = 0; i < 2; ++i) x.mutable_cpu_diff()[i] = 100;
    run.Backward({false});
    EXPECT_EQ(200, x.asum_diff());
    run.Backward();
    EXPECT_EQ(8, x.asum_diff());
    EXPECT_EQ(method[0] == 'M' ? 8 : 4, x.cpu_diff()[1]);
  }
}

TYPED_TEST(PoolingLayerTest, FollowsTheBottomsSize) {
  Blob<TypeParam> x(1, 2, 2, 2);
  LayerRun<TypeParam> window(LayerFromText(Pool("kernel_size: 2")), {&x});
  LayerRun<TypeParam> global(LayerFromText(Pool("global_pooling: true pool: AVE")), {&x});
  x.Reshape(3, 1, 4, 5);
  FillGaussian<TypeParam>(&x, 1);
  window.Forward();
  EXPECT_EQ((std::vector<int>{3, 1, 3, 4}), window.top[0]->shape());
  global.Forward();
  EXPECT_EQ((std::vector<int>{3, 1, 1, 1}), global.top[0]->shape());
  double sum = 0;
  for (int i = 0; i < 20; ++i) sum += x.cpu_data()[40 + i];
  EXPECT_NEAR(sum / 20, global.top[0]->cpu_data()[2], 1e-6);
}

TEST(PoolingLayer, Gradient) {
  for (const Case& c : kCases) {
    for (const char* method : {" pool: MAX", " pool: AVE"}) {
      SCOPED_TRACE(std::string(c.settings) + method);
      Blob<double> x(2, 2, c.in[0], c.in[1]), y;
      FillGaussian<double>(&x, 2);
      PoolingLayer<double> layer(LayerFromText(Pool(std::string(c.settings) + method)));
      GradientChecker<double>(1e-6, 1e-6).CheckGradientExhaustive(&layer, {&x}, {&y});
    }
  }
}

TEST(PoolingLayer, AllLayoutsAgree) {
  for (const Case& c : kCases) {
    for (const int channels : {5, 16, 19}) {
      // Full blocks of single pixels are the plain layout.
      RunOptions options;
      options.keeps_block = channels != 16 || c.out != std::vector<int>{1, 1};
      for (const char* method : {" pool: MAX", " pool: AVE"}) {
        SCOPED_TRACE(std::string(c.settings) + method);
        ExpectAllLayoutsAgree(Pool(std::string(c.settings) + method),
                              {{3, channels, c.in[0], c.in[1]}}, false, options);
      }
    }
  }
}

TEST(PoolingLayer, MaskIsPlainInAnyLayout) {
  RunOptions options;
  options.tops = 2;
  options.keeps_block = false;
  ExpectAllLayoutsAgree(Pool("kernel_size: 3 stride: 2 pad: 1"), {{2, 19, 6, 5}}, false, options);
}

TEST(PoolingLayer, Errors) {
  const struct {
    const char *settings, *message;
  } cases[] = {
      {"pool: STOCHASTIC kernel_size: 2", "pool STOCHASTIC is not supported"},
      {"", "kernel_size is not given"},
      {"kernel_size: 0", "kernel size is 0x0"},
      {"kernel_h: 3 kernel_w: 0", "kernel size is 3x0"},
      {"kernel_h: 3", "give kernel_size, or kernel_h and kernel_w"},
      {"kernel_size: 3 kernel_h: 3 kernel_w: 3", "give kernel_size, or kernel_h and kernel_w"},
      {"kernel_size: 3 pad: 1 pad_h: 1 pad_w: 1", "give pad, or pad_h and pad_w"},
      {"kernel_size: 3 pad_w: 1", "give pad, or pad_h and pad_w"},
      {"kernel_size: 3 stride: 2 stride_h: 1 stride_w: 1", "give stride, or stride_h and stride_w"},
      {"kernel_size: 3 stride_h: 2", "give stride, or stride_h and stride_w"},
      {"kernel_size: 2 stride_h: 1 stride_w: 0", "stride is 1x0"},
      {"kernel_size: 2147483647",
       "kernel of height 2147483647 exceeds the padded input of height 4"},
      {"kernel_size: 2 pad: 2", "pad 2x2 is not smaller than the kernel 2x2"},
      {"kernel_h: 3 kernel_w: 1 pad_h: 0 pad_w: 1", "pad 0x1 is not smaller than the kernel 3x1"},
      {"global_pooling: true kernel_size: 2", "global_pooling is given together with a kernel"},
      {"global_pooling: true kernel_w: 2", "global_pooling is given together with a kernel"},
      {"global_pooling: true pad_h: 1", "global_pooling takes neither pad nor stride"},
      {"global_pooling: true stride: 2", "global_pooling takes neither pad nor stride"},
      {"kernel_size: 7 pad: 1", "kernel of height 7 exceeds the padded input of height 6"},
      {"kernel_h: 1 kernel_w: 7", "kernel of width 7 exceeds the padded input of width 6"}};
  Blob<float> x(2, 3, 4, 6), flat(vector<int>{2, 3});
  for (const auto& c : cases) {
    SCOPED_TRACE(c.settings);
    EXPECT_ERROR(LayerRun<float>(LayerFromText(Pool(c.settings)), {&x}), c.message);
  }
  const LayerParameter param = LayerFromText(Pool("kernel_size: 2 pool: AVE"));
  EXPECT_ERROR(LayerRun<float>(param, {&flat}), "the bottom has shape 2 3 (6)");
  EXPECT_ERROR(LayerRun<float>(param, {&x}, 2), "takes at most 1 top blob(s), not 2");
  EXPECT_ERROR(LayerRun<float>(param, {&x, &x}), "takes exactly 1 bottom blob(s), not 2");
  // A stride beyond the image leaves the first window.
  LayerRun<float> far(LayerFromText(Pool("kernel_size: 2 stride: 2147483647")), {&x});
  EXPECT_EQ(far.top[0]->shape(), (vector<int>{2, 3, 1, 1}));
  LayerRun<float> run(param, {&x});
  x.Reshape(2, 3, 1, 6);
  EXPECT_ERROR(run.Forward(), "kernel of height 2 exceeds the padded input of height 1");
  PoolingLayer<float> layer(LayerFromText(Pool("kernel_size: 1")));
  EXPECT_ERROR(layer.SetUp({&x}, {&x}), "cannot work in place");
}

}  // namespace
}  // namespace testing
}  // namespace caffe

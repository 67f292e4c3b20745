#include "caffe/layers/conv_layer.hpp"

#include "caffe/layers/winograd_kernels.hpp"
#include "testing/gradient_checker.hpp"
#include "testing/layer_result.hpp"

namespace caffe {
namespace testing {
namespace {

std::string Conv(const std::string& settings, const std::string& more = "") {
  return "name: 'c' type: 'Convolution' convolution_param { " + settings + " } " + more;
}

/// A convolution and the shape of its bottom.
struct Case {
  std::vector<int> shape;
  int outputs;
  int kernel[2], pad[2], stride[2], dilation[2];
  int group;
  bool bias;
  std::string Text() const {
    std::string text = "num_output: " + std::to_string(outputs) +
                       " group: " + std::to_string(group) +
                       " bias_term: " + (bias ? "true" : "false");
    const auto add = [&text](const char* name, const int* pair) {
      for (int i = 0; i < 2; ++i) text += std::string(name) + ": " + std::to_string(pair[i]);
    };
    add(" kernel_size", kernel);
    add(" pad", pad);
    add(" stride", stride);
    add(" dilation", dilation);
    return Conv(text);
  }
};

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {{2, 3, 8, 9}, 16, {3, 3}, {0, 0}, {1, 1}, {1, 1}, 1, true},
      {{2, 3, 9, 7}, 16, {3, 3}, {1, 1}, {2, 2}, {1, 1}, 1, false},
      {{1, 5, 6, 6}, 7, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, true},
      {{2, 17, 5, 6}, 33, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, true},
      {{2, 16, 8, 8}, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, true},
      {{2, 32, 7, 7}, 16, {1, 1}, {0, 0}, {2, 2}, {1, 1}, 1, false},
      {{3, 40, 4, 5}, 33, {1, 1}, {0, 0}, {1, 1}, {1, 1}, 1, true},
      {{2, 16, 9, 9}, 16, {3, 3}, {2, 2}, {1, 1}, {2, 2}, 1, true},
      {{1, 4, 8, 7}, 5, {3, 2}, {1, 2}, {2, 1}, {2, 3}, 1, true},
      {{2, 6, 5, 5}, 4, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 2, true},
      {{2, 32, 6, 5}, 32, {3, 3}, {1, 1}, {2, 2}, {1, 1}, 2, false},
      // depthwise, the second with two outputs of each channel
      {{2, 16, 7, 6}, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 16, true},
      {{2, 5, 7, 6}, 10, {3, 3}, {1, 1}, {2, 2}, {1, 1}, 5, true},
      // images smaller than the kernel, and padding as wide as it
      {{3, 16, 1, 1}, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, true},
      {{2, 24, 2, 2}, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, false},
      {{3, 17, 1, 4}, 33, {1, 3}, {0, 1}, {1, 2}, {1, 1}, 1, true},
      {{2, 3, 4, 1}, 8, {2, 1}, {2, 1}, {3, 1}, {1, 1}, 1, true},
      {{2, 19, 1, 1}, 10, {1, 1}, {0, 0}, {1, 1}, {1, 1}, 1, true},
      {{3, 16, 2, 2}, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, true},
      {{3, 40, 2, 2}, 40, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 40, true},
      {{2, 16, 1, 2}, 16, {3, 3}, {1, 1}, {1, 2}, {1, 1}, 16, false},
      // by Winograd: whole and cut tiles of 4 and of 2, each padding, channels that fill no block
      {{2, 24, 7, 11}, 40, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, true},
      {{3, 16, 10, 6}, 16, {3, 3}, {0, 0}, {1, 1}, {1, 1}, 1, false},
      {{2, 23, 6, 9}, 37, {3, 3}, {2, 0}, {1, 1}, {1, 1}, 1, true},
      {{2, 32, 4, 3}, 16, {3, 3}, {0, 2}, {1, 1}, {1, 1}, 1, true},
      {{5, 40, 2, 2}, 72, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, true}};
  return cases;
}

/// The definition, in double.
template <typename Dtype>
std::vector<double> Naive(const Case& c, const Blob<Dtype>& x, const Blob<Dtype>& weights,
                          const Blob<Dtype>* bias) {
  int out[2];
  for (int axis = 0; axis < 2; ++axis) {
    const int reach = c.dilation[axis] * (c.kernel[axis] - 1) + 1;
    out[axis] = (x.shape(2 + axis) + 2 * c.pad[axis] - reach) / c.stride[axis] + 1;
  }
  const int ins = x.channels() / c.group, outs = c.outputs / c.group;
  std::vector<double> y;
  for (int n = 0; n < x.num(); ++n) {
    for (int o = 0; o < c.outputs; ++o) {
      for (int i = 0; i < out[0] * out[1]; ++i) {
        double sum = bias ? bias->cpu_data()[o] : 0;
        for (int k = 0; k < ins * c.kernel[0] * c.kernel[1]; ++k) {
          const int u = k / c.kernel[1] % c.kernel[0], v = k % c.kernel[1];
          const int channel = k / (c.kernel[0] * c.kernel[1]);
          const int row = i / out[1] * c.stride[0] - c.pad[0] + u * c.dilation[0];
          const int column = i % out[1] * c.stride[1] - c.pad[1] + v * c.dilation[1];
          if (row < 0 || row >= x.height() || column < 0 || column >= x.width()) continue;
          sum += double(weights.data_at(o, channel, u, v)) *
                 x.data_at(n, o / outs * ins + channel, row, column);
        }
        y.push_back(sum);
      }
    }
  }
  return y;
}

template <typename Dtype>
class ConvolutionLayerTest : public ::testing::Test {
 protected:
  const double kTolerance = std::is_same<Dtype, float>::value ? 1e-5 : 1e-12;

  static void FillParameters(Layer<Dtype>* layer, uint64_t seed = 20) {
    for (const auto& blob : layer->blobs()) FillGaussian<Dtype>(blob.get(), seed++);
  }
  void ExpectNaive(const Case& c, const Blob<Dtype>& x, const Layer<Dtype>& layer,
                   const Blob<Dtype>& y) {
    auto& blobs = const_cast<Layer<Dtype>&>(layer).blobs();
    const std::vector<double> expected = Naive(c, x, *blobs[0], c.bias ? blobs[1].get() : nullptr);
    ASSERT_EQ(expected.size(), static_cast<size_t>(y.count()));
    EXPECT_LE(RelativeError(y.cpu_data(), expected.data(), y.count()), kTolerance);
  }
};
typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(ConvolutionLayerTest, Dtypes);

TYPED_TEST(ConvolutionLayerTest, ForwardIsTheDefinition) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.Text());
    Blob<TypeParam> x(c.shape);
    FillGaussian<TypeParam>(&x, 1, 0.5, 1);
    LayerRun<TypeParam> run(LayerFromText(c.Text()), {&x});
    ASSERT_EQ(c.bias ? 2u : 1u, run.layer->blobs().size());
    this->FillParameters(run.layer.get());
    run.Forward();
    this->ExpectNaive(c, x, *run.layer, *run.top[0]);
  }
}

TYPED_TEST(ConvolutionLayerTest, FollowsOtherSizesAndWeights) {
  const Case c = {{2, 16, 6, 6}, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, true};
  Blob<TypeParam> x(c.shape);
  LayerRun<TypeParam> run(LayerFromText(c.Text()), {&x});
  // The float path keeps primitives and a copy of the weights: none may be out of date.
  uint64_t seed = 30;
  for (const std::vector<int>& shape :
       std::vector<std::vector<int>>{c.shape, c.shape, {3, 16, 6, 6}, {3, 16, 4, 7}, c.shape}) {
    x.Reshape(shape);
    FillGaussian<TypeParam>(&x, ++seed);
    this->FillParameters(run.layer.get(), ++seed);
    run.Forward();
    EXPECT_EQ(shape, run.top[0]->shape());
    this->ExpectNaive(c, x, *run.layer, *run.top[0]);
    Blob<TypeParam> dy;
    dy.ReshapeLike(*run.top[0]);
    FillGaussian<TypeParam>(&dy, ++seed);
    SetDiff(dy, run.top[0]);
    run.Backward();
    // The adjoint: <dy, w * x> = <dx, x> where there is no bias.
    double left = 0, right = 0, size = 0;
    for (int i = 0; i < dy.count(); ++i) {
      const double linear = double(run.top[0]->cpu_data()[i]) -
                            run.layer->blobs()[1]->cpu_data()[i / dy.count(2) % c.outputs];
      left += dy.cpu_data()[i] * linear;
      size += std::fabs(dy.cpu_data()[i] * linear);
    }
    for (int i = 0; i < x.count(); ++i) right += double(x.cpu_diff()[i]) * x.cpu_data()[i];
    EXPECT_NEAR(left, right, this->kTolerance * size);
  }
}

TYPED_TEST(ConvolutionLayerTest, SeveralBottomsShareTheWeights) {
  const Case c = {{2, 5, 4, 4}, 9, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, true};
  Blob<TypeParam> a(c.shape), b(c.shape);
  FillGaussian<TypeParam>(&a, 1);
  FillGaussian<TypeParam>(&b, 2);
  LayerRun<TypeParam> both(LayerFromText(c.Text()), {&a, &b}, 2);
  this->FillParameters(both.layer.get());
  both.Forward();
  Blob<TypeParam> dy;
  dy.ReshapeLike(*both.top[0]);
  FillGaussian<TypeParam>(&dy, 3);
  for (Blob<TypeParam>* top : both.top) SetDiff(dy, top);
  both.Backward();

  std::vector<std::vector<double>> sums(2);
  for (int i = 0; i < 2; ++i) {
    Blob<TypeParam> x;
    x.CopyFrom(i == 0 ? a : b, false, true);
    LayerRun<TypeParam> one(LayerFromText(c.Text()), {&x});
    this->FillParameters(one.layer.get());
    one.Forward();
    this->ExpectNaive(c, x, *one.layer, *both.top[i]);
    SetDiff(dy, one.top[0]);
    one.Backward();
    EXPECT_LE(RelativeError(both.bottom[i]->cpu_diff(), x.cpu_diff(), x.count()), this->kTolerance);
    for (int p = 0; p < 2; ++p) {
      const Blob<TypeParam>& blob = *one.layer->blobs()[p];
      sums[p].resize(blob.count());
      for (int j = 0; j < blob.count(); ++j) sums[p][j] += blob.cpu_diff()[j];
    }
  }
  for (int p = 0; p < 2; ++p) {
    const Blob<TypeParam>& blob = *both.layer->blobs()[p];
    EXPECT_LE(RelativeError(blob.cpu_diff(), sums[p].data(), blob.count()), this->kTolerance);
  }
}

TYPED_TEST(ConvolutionLayerTest, ParametersGradientsAddUpTheBottomsDoesNot) {
  Blob<TypeParam> x(1, 1, 1, 2);
  FillValues<TypeParam>(&x, {3, -1});
  LayerRun<TypeParam> run(LayerFromText(Conv("num_output: 2 kernel_size: 1")), {&x});
  FillValues<TypeParam>(run.layer->blobs()[0].get(), {5, 7});
  run.Forward();
  FillValues<TypeParam>(run.top[0], {1, 2, 4, 8});
  SetDiff(*run.top[0], run.top[0]);
  run.Backward();
  run.Backward();
  EXPECT_EQ(2, run.layer->blobs()[0]->cpu_diff()[0]);  // 2 (3 * 1 - 1 * 2)
  EXPECT_EQ(8, run.layer->blobs()[0]->cpu_diff()[1]);
  EXPECT_EQ(6, run.layer->blobs()[1]->cpu_diff()[0]);
  EXPECT_EQ(24, run.layer->blobs()[1]->cpu_diff()[1]);
  EXPECT_EQ(33, x.cpu_diff()[0]);
  EXPECT_EQ(66, x.cpu_diff()[1]);
}

TYPED_TEST(ConvolutionLayerTest, ComputesNoMoreGradientsThanAskedFor) {
  // Bit 0: weights, 1: bias, 2: bottom. A gradient that nobody asked for would still count where a
  // solver clips by the norm of all.
  for (int asked = 0; asked < 8; ++asked) {
    SCOPED_TRACE(asked);
    Blob<TypeParam> x(2, 3, 4, 4);
    FillGaussian<TypeParam>(&x, 1);
    LayerRun<TypeParam> run(LayerFromText(Conv("num_output: 8 kernel_size: 3")), {&x});
    this->FillParameters(run.layer.get());
    for (int i = 0; i < 2; ++i) run.layer->set_param_propagate_down(i, (asked >> i & 1) != 0);
    run.Forward();
    SetDiff(*run.top[0], run.top[0]);
    run.Backward({(asked & 4) != 0});
    EXPECT_EQ((asked & 1) != 0, run.layer->blobs()[0]->asum_diff() != 0);
    EXPECT_EQ((asked & 2) != 0, run.layer->blobs()[1]->asum_diff() != 0);
    EXPECT_EQ((asked & 4) != 0, x.asum_diff() != 0);
  }
}

TEST(ConvolutionLayer, FloatAgreesWithDoubleInAllLayouts) {
  RunOptions options;
  options.keeps_block = false;  // the layer chooses
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.Text());
    ExpectAllLayoutsAgree(c.Text(), {c.shape}, false, options, 1e-4);
  }
}

TEST(ConvolutionLayer, Gradient) {
  for (const char* settings :
       {"num_output: 2 kernel_size: 3 pad: 1", "num_output: 4 kernel_size: 2 group: 2 stride: 2",
        "num_output: 4 kernel_size: 3 pad: 1 group: 4 bias_term: false",
        "num_output: 3 kernel_h: 1 kernel_w: 2 pad_h: 1 stride_w: 2 dilation: 1 dilation: 3"}) {
    SCOPED_TRACE(settings);
    Blob<double> a(2, 4, 3, 4), b(2, 4, 3, 4), y, z;
    FillGaussian<double>(&a, 1);
    FillGaussian<double>(&b, 2);
    ConvolutionLayer<double> layer(LayerFromText(
        Conv(std::string(settings) +
             " weight_filler { type: 'gaussian' std: 1 } bias_filler { type: 'gaussian' }")));
    GradientChecker<double>(1e-3, 1e-7).CheckGradientExhaustive(&layer, {&a, &b}, {&y, &z});
  }
}

TEST(ConvolutionLayer, WaysToGiveASetting) {
  const struct {
    const char* settings;
    std::vector<int> weights, top;
  } cases[] = {{"kernel_size: 3", {2, 3, 3, 3}, {2, 2, 6, 7}},
               {"kernel_size: 3 kernel_size: 2", {2, 3, 3, 2}, {2, 2, 6, 8}},
               {"kernel_h: 3 kernel_w: 2", {2, 3, 3, 2}, {2, 2, 6, 8}},
               {"kernel_size: 1 pad: 1 pad: 0 stride: 2", {2, 3, 1, 1}, {2, 2, 5, 5}},
               {"kernel_size: 1 pad_w: 2 stride_h: 3", {2, 3, 1, 1}, {2, 2, 3, 13}},
               {"kernel_size: 3 stride: 1 stride: 2", {2, 3, 3, 3}, {2, 2, 6, 4}},
               {"kernel_size: 3 dilation: 2", {2, 3, 3, 3}, {2, 2, 4, 5}},
               {"kernel_size: 3 dilation: 2 dilation: 3", {2, 3, 3, 3}, {2, 2, 4, 3}},
               {"kernel_size: 3 axis: -3", {2, 3, 3, 3}, {2, 2, 6, 7}}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.settings);
    Blob<double> x(2, 3, 8, 9);
    LayerRun<double> run(LayerFromText(Conv(std::string("num_output: 2 ") + c.settings)), {&x});
    EXPECT_EQ(c.weights, run.layer->blobs()[0]->shape());
    EXPECT_EQ(c.top, run.top[0]->shape());
  }
}

TEST(ConvolutionLayer, EngineCaffeIsTheDirectSum) {
  if (!BestWinogradKernels(4)) GTEST_SKIP() << "for this processor there are no kernels";
  Blob<float> x(2, 16, 8, 8), weights(16, 16, 3, 3);
  FillGaussian<float>(&x, 1);
  FillGaussian<float>(&weights, 2);
  std::vector<std::vector<float>> results;
  for (const char* engine : {"DEFAULT", "CAFFE"}) {
    LayerRun<float> run(
        LayerFromText(Conv(std::string("num_output: 16 kernel_size: 3 pad: 1 engine: ") + engine)),
        {&x});
    run.layer->blobs()[0]->CopyFrom(weights);
    run.Forward();
    results.emplace_back(run.top[0]->cpu_data(), run.top[0]->cpu_data() + run.top[0]->count());
  }
  // Two algorithms: the same to rounding, but not to the bit.
  EXPECT_LE(RelativeError(results[0].data(), results[1].data(), 2048), 1e-5);
  EXPECT_NE(results[0], results[1]);
}

TEST(ConvolutionLayer, FillersAndStoredParameters) {
  Blob<float> x(1, 2, 1, 1);
  FillValues<float>(&x, {1, 10});
  const std::string size = "num_output: 1 kernel_size: 1 ";
  LayerRun<float> filled(
      LayerFromText(Conv(size + "weight_filler { value: 3 } bias_filler { value: 0.5 }")), {&x});
  filled.Forward();
  EXPECT_EQ(33.5f, filled.top[0]->cpu_data()[0]);
  LayerRun<float> stored(LayerFromText(Conv(size + "weight_filler { value: 3 }",
                                            "blobs { shape { dim: [1, 2, 1, 1] } data: [4, 5] }"
                                            "blobs { shape { dim: 1 } data: 6 }")),
                         {&x});
  stored.Forward();
  EXPECT_EQ(60, stored.top[0]->cpu_data()[0]);
}

}  // namespace
}  // namespace testing
}  // namespace caffe

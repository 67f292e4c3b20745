#include <gtest/gtest.h>

#include "caffe/layers/gpu_convolution.hpp"
#include "testing/gpu_util.hpp"

namespace caffe {
namespace {

using testing::FillGaussian;

class ConvolutionLayerGpu : public testing::GpuTest {};

std::string Conv(const std::string& settings) {
  return "name: 'c' type: 'Convolution' convolution_param { " + settings +
         " weight_filler { type: 'gaussian' } bias_filler { type: 'gaussian' std: 2 } }";
}

void ExpectTheCpus(const std::string& settings, const std::vector<std::vector<int>>& shapes) {
  testing::GpuComparison comparison;
  comparison.layer = Conv(settings);
  comparison.shapes = shapes;
  comparison.tops = static_cast<int>(shapes.size());
  comparison.Expect();
}

const struct {
  const char* settings;
  std::vector<int> shape;
} kCases[] = {
    {"num_output: 16 kernel_size: 3", {2, 3, 8, 9}},
    {"num_output: 16 kernel_size: 3 pad: 1 stride: 2", {2, 3, 9, 7}},
    {"num_output: 7 kernel_size: 3 pad: 1", {3, 5, 6, 6}},
    {"num_output: 4 kernel_size: 5 pad: 2", {1, 1, 12, 12}},
    {"num_output: 16 kernel_size: 1", {2, 8, 7, 5}},
    {"num_output: 16 kernel_size: 1 stride: 2", {2, 8, 7, 7}},
    {"num_output: 3 kernel_size: 1 pad: 1", {2, 2, 3, 4}},
    {"num_output: 8 kernel_size: 3 pad: 2 dilation: 2", {2, 4, 9, 9}},
    {"num_output: 5 kernel_h: 3 kernel_w: 2 pad_h: 1 pad_w: 2 stride_h: 2 stride_w: 1",
     {2, 4, 8, 7}},
    {"num_output: 5 kernel_size: 3 kernel_size: 2 pad: 1 stride: 2 stride: 3 dilation: 2 dilation: "
     "3",
     {1, 4, 8, 9}},
    // The kernel's steps jump over pixels, and over the last rows.
    {"num_output: 3 kernel_size: 2 stride: 3", {2, 2, 7, 9}},
    {"num_output: 3 kernel_size: 2 stride: 3 dilation: 2", {2, 2, 10, 9}},
    {"num_output: 16 kernel_size: 3 pad: 1", {3, 16, 1, 1}},
    {"num_output: 8 kernel_size: 2 kernel_size: 1 pad: 2 pad: 1 stride: 3 stride: 1", {2, 3, 4, 1}},
    {"num_output: 4 kernel_size: 3 pad: 1 group: 2", {2, 6, 5, 5}},
    {"num_output: 6 kernel_size: 1 group: 3", {2, 6, 4, 5}},
    {"num_output: 9 kernel_size: 3 stride: 2 dilation: 2 pad: 1 group: 3", {2, 6, 8, 7}},
    // A group per input channel, with one output of each or more.
    {"num_output: 16 kernel_size: 3 pad: 1 group: 16", {2, 16, 7, 6}},
    {"num_output: 10 kernel_size: 3 pad: 1 stride: 2 group: 5", {2, 5, 7, 6}},
    {"num_output: 9 kernel_size: 2 kernel_size: 3 dilation: 2 stride: 1 stride: 2 group: 3",
     {3, 3, 7, 9}},
    {"num_output: 2 kernel_size: 1 group: 2", {2, 2, 3, 3}},
    {"num_output: 4 kernel_size: 5 pad: 2 group: 4", {20, 4, 9, 9}}};

TEST_F(ConvolutionLayerGpu, EqualsTheCpu) {
  for (const auto& c : kCases) {
    ExpectTheCpus(c.settings, {c.shape});
    ExpectTheCpus(c.settings + std::string(" bias_term: false"), {c.shape});
  }
}

TEST_F(ConvolutionLayerGpu, SeveralBottoms) {
  ExpectTheCpus("num_output: 6 kernel_size: 3 pad: 1", {{2, 4, 5, 6}, {2, 4, 5, 6}, {2, 4, 5, 6}});
  ExpectTheCpus("num_output: 8 kernel_size: 3 pad: 1 group: 4", {{2, 4, 5, 6}, {2, 4, 5, 6}});
}

TEST_F(ConvolutionLayerGpu, ComputesNoMoreGradientsThanAskedFor) {
  const testing::GpuMode mode;
  for (const char* settings : {"num_output: 8 kernel_size: 3", "num_output: 4 kernel_size: 1",
                               "num_output: 4 group: 4 kernel_size: 3"}) {
    for (int asked = 0; asked < 8; ++asked) {
      SCOPED_TRACE(settings + std::to_string(asked));
      Blob<float> x(2, 4, 4, 4);
      FillGaussian(&x, 1);
      testing::LayerRun<float> run(testing::LayerFromText(Conv(settings)), {&x});
      for (int i = 0; i < 2; ++i) run.layer->set_param_propagate_down(i, (asked >> i & 1) != 0);
      run.Forward();
      testing::SetDiff(*run.top[0], run.top[0]);
      run.Backward({(asked & 4) != 0});
      EXPECT_EQ((asked & 1) != 0, run.layer->blobs()[0]->asum_diff() != 0);
      EXPECT_EQ((asked & 2) != 0, run.layer->blobs()[1]->asum_diff() != 0);
      EXPECT_EQ((asked & 4) != 0, x.asum_diff() != 0);
    }
  }
}

// The CPU computes float in another way; each pass may run in another mode and size.
TEST_F(ConvolutionLayerGpu, FloatInEitherModeByTurns) {
  const LayerParameter param = testing::LayerFromText(Conv("num_output: 16 kernel_size: 3 pad: 1"));
  const double tolerance = Device::Get().IsEmulated() ? 2e-5 : 1e-2;  // a GPU's TF32
  Blob<float> x(2, 16, 6, 6), other(2, 16, 6, 6);
  testing::LayerRun<float> cpu(param, {&x}), mixed(param, {&other});
  for (int i = 0; i < 2; ++i) mixed.layer->blobs()[i]->CopyFrom(*cpu.layer->blobs()[i]);
  for (int pass = 0; pass < 8; ++pass) {
    SCOPED_TRACE(pass);
    x.Reshape(2, 16, 6 + pass / 4, 6);
    FillGaussian(&x, pass);
    other.CopyFrom(x, false, true);
    cpu.Forward();
    Caffe::set_mode(pass & 1 ? Caffe::GPU : Caffe::CPU);
    mixed.Forward();
    Caffe::set_mode(Caffe::CPU);
    for (const auto* run : {&cpu, &mixed}) {
      Blob<float> dy(run->top[0]->shape());
      FillGaussian(&dy, 20 + pass);
      testing::SetDiff(dy, run->top[0]);
    }
    cpu.Backward();
    Caffe::set_mode(pass & 2 ? Caffe::GPU : Caffe::CPU);
    mixed.Backward();
    Caffe::set_mode(Caffe::CPU);
    const auto expect_equal = [tolerance](const float* values, const float* expected, int count) {
      EXPECT_LT(testing::RelativeError(values, expected, count), tolerance);
    };
    expect_equal(mixed.top[0]->cpu_data(), cpu.top[0]->cpu_data(), cpu.top[0]->count());
    expect_equal(other.cpu_diff(), x.cpu_diff(), x.count());
    for (int i = 0; i < 2; ++i) {
      const Blob<float>&a = *mixed.layer->blobs()[i], &b = *cpu.layer->blobs()[i];
      expect_equal(a.cpu_diff(), b.cpu_diff(), b.count());
    }
  }
}

ConvGeometry Geometry(const Layer<float>& layer, const Blob<float>& x, const Blob<float>& y) {
  const ConvolutionParameter& param = layer.layer_param().convolution_param();
  ConvGeometry g;
  g.num = x.num();
  g.in_channels = x.channels();
  g.in_h = x.height();
  g.in_w = x.width();
  g.out_channels = y.channels();
  g.out_h = y.height();
  g.out_w = y.width();
  g.kernel_h = g.kernel_w = static_cast<int>(param.kernel_size(0));
  g.pad_h = g.pad_w = param.pad_size() > 0 ? static_cast<int>(param.pad(0)) : 0;
  g.stride_h = g.stride_w = param.stride_size() > 0 ? static_cast<int>(param.stride(0)) : 1;
  g.group = static_cast<int>(param.group());
  return g;
}

// Whether float is computed by the tensor cores' kernels (TF32; on the emulated device the same in
// float) or otherwise, it is nearly the sums of `engine: CAFFE` in double.
TEST_F(ConvolutionLayerGpu, FloatIsNearlyThePlainSums) {
  const struct {
    const char* settings;
    std::vector<int> shape;
    bool by_tensor_cores;
  } cases[] = {
      // As in ResNet-20: several parts of an image, one, and less than one.
      {"num_output: 16 kernel_size: 3 pad: 1", {2, 3, 32, 32}, true},
      {"num_output: 16 kernel_size: 3 pad: 1", {3, 16, 32, 32}, true},
      {"num_output: 32 kernel_size: 3 pad: 1 stride: 2", {2, 16, 32, 32}, true},
      {"num_output: 32 kernel_size: 3 pad: 1", {3, 32, 16, 16}, true},
      {"num_output: 64 kernel_size: 3 pad: 1 stride: 2", {2, 32, 16, 16}, true},
      {"num_output: 64 kernel_size: 3 pad: 1", {7, 64, 8, 8}, true},
      // Channels that are no multiples of 8 or 16, parts that begin within a row, odd sizes.
      {"num_output: 7 kernel_size: 3 pad: 1", {2, 5, 6, 6}, true},
      {"num_output: 20 kernel_size: 3 pad: 1", {2, 24, 9, 37}, true},
      {"num_output: 48 kernel_size: 3 pad: 1", {2, 40, 5, 84}, true},
      {"num_output: 64 kernel_size: 3 pad: 1", {1, 17, 3, 130}, true},
      {"num_output: 33 kernel_size: 3 pad: 1 stride: 2", {3, 9, 15, 14}, true},
      {"num_output: 64 kernel_size: 3 pad: 1 stride: 2", {1, 64, 7, 61}, true},
      {"num_output: 16 kernel_size: 3 pad: 1", {300, 2, 1, 1}, true},
      {"num_output: 1 kernel_size: 3 pad: 1", {2, 1, 40, 2}, true},
      {"num_output: 8 kernel_size: 3 pad: 1 stride: 2", {2, 8, 1, 2}, true},
      {"num_output: 8 kernel_size: 3 pad: 1 stride: 2", {260, 3, 2, 2}, true},
      {"num_output: 8 kernel_size: 3 pad: 1", {2, 3, 300, 1}, true},
      // Others.
      {"num_output: 65 kernel_size: 3 pad: 1", {2, 4, 6, 6}, false},
      {"num_output: 8 kernel_size: 3", {2, 4, 6, 6}, false},
      {"num_output: 8 kernel_size: 1", {2, 4, 6, 6}, false},
      {"num_output: 8 kernel_size: 5 pad: 2 group: 2", {2, 4, 6, 6}, false}};
  const testing::GpuMode mode;
  const double tolerance = Device::Get().IsEmulated() ? 2e-6 : 2e-3;
  for (const auto& one : cases) {
    for (const char* bias : {"", " bias_term: false"}) {
      SCOPED_TRACE(one.settings + std::string(bias));
      Blob<float> x(one.shape);
      Blob<double> plain_x(one.shape);
      FillGaussian(&x, 1);
      FillGaussian(&plain_x, 1);
      testing::LayerRun<float> run(testing::LayerFromText(Conv(one.settings + std::string(bias))),
                                   {&x});
      testing::LayerRun<double> plain(
          testing::LayerFromText(Conv(one.settings + std::string(bias) + " engine: CAFFE")),
          {&plain_x});
      const ConvGeometry g = Geometry(*run.layer, x, *run.top[0]);
      if (Device::Get().IsEmulated()) {
        EXPECT_EQ(one.by_tensor_cores, TensorCoreConvolution(g) != nullptr);
      }
      Blob<float> dy(run.top[0]->shape());
      Blob<double> plain_dy(dy.shape());
      FillGaussian(&dy, 2);
      FillGaussian(&plain_dy, 2);
      std::vector<std::pair<Blob<float>*, Blob<double>*>> both = {{&x, &plain_x}, {&dy, &plain_dy}};
      for (size_t i = 0; i < run.layer->blobs().size(); ++i) {
        both.emplace_back(run.layer->blobs()[i].get(), plain.layer->blobs()[i].get());
      }
      for (const auto& pair : both) {
        for (int i = 0; i < pair.first->count(); ++i) {
          pair.second->mutable_cpu_data()[i] = pair.first->cpu_data()[i];
        }
      }
      const auto expect = [&](const float* values, const double* expected, int count) {
        const std::vector<double> as_double(values, values + count);
        EXPECT_LT(testing::RelativeError(as_double.data(), expected, count), tolerance);
      };
      for (int pass = 1; pass <= 2; ++pass) {  // the gradients of the parameters are added to
        run.Forward();
        plain.Forward();
        testing::SetDiff(dy, run.top[0]);
        testing::SetDiff(plain_dy, plain.top[0]);
        run.Backward();
        plain.Backward();
        expect(run.top[0]->cpu_data(), plain.top[0]->cpu_data(), run.top[0]->count());
        expect(x.cpu_diff(), plain_x.cpu_diff(), x.count());
        for (size_t i = 2; i < both.size(); ++i) {
          expect(both[i].first->cpu_diff(), both[i].second->cpu_diff(), both[i].first->count());
        }
      }
    }
  }
}

TEST_F(ConvolutionLayerGpu, ByCudnnEqualsTheCpu) {
  ConvGeometry smallest;
  smallest.num = smallest.in_channels = smallest.in_h = smallest.in_w = 1;
  smallest.out_channels = smallest.out_h = smallest.out_w = 1;
  smallest.kernel_h = smallest.kernel_w = 1;
  std::string why_not;
  if (!CudnnConvolution<double>(smallest, true, &why_not)) GTEST_SKIP() << why_not;
  for (const auto& one : kCases) {
    ExpectTheCpus(std::string(one.settings) + " engine: CUDNN", {one.shape});
  }
  const std::vector<int> shape = {2, 8, 6, 6};
  ExpectTheCpus("num_output: 8 group: 4 kernel_size: 3 pad: 1 engine: CUDNN", {shape});
}

TEST_F(ConvolutionLayerGpu, WithoutCudnnItSaysSo) {
  if (!Device::Get().IsEmulated()) GTEST_SKIP() << "there may be cuDNN";
  const testing::GpuMode mode;
  Blob<float> x(2, 3, 6, 6);
  testing::LayerRun<float> run(
      testing::LayerFromText(Conv("num_output: 4 kernel_size: 3 engine: CUDNN")), {&x});
  EXPECT_ERROR(run.Forward(), "engine is CUDNN: ");  // why depends on the build
}

}  // namespace
}  // namespace caffe

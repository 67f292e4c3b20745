#include "caffe/layers/softmax_loss_layer.hpp"

#include <gtest/gtest.h>

#include <cfloat>

#include "testing/gpu_util.hpp"

namespace caffe {
namespace {

using testing::FillGaussian;

class SoftmaxWithLossLayerGpu : public testing::GpuTest {};

std::string Loss(const std::string& settings, int tops = 1) {
  return "name: 'loss' type: 'SoftmaxWithLoss' " + settings +
         (tops > 1 ? " loss_weight: 3 loss_weight: 0" : "");
}

/// With labels 0, ..., classes - 1, and with `ignored` that label as every third.
testing::GpuComparison Compare(const std::string& settings, const std::vector<int>& shape,
                               int tops = 1, int ignored = 0) {
  testing::GpuComparison comparison;
  comparison.layer = Loss(settings, tops);
  std::vector<int> positions = shape;
  positions.erase(positions.begin() + 1);
  comparison.shapes = {shape, positions};
  comparison.tops = tops;
  comparison.propagate_down = {true, false};
  const int classes = shape[1];
  comparison.fill = [classes, ignored](std::vector<Blob<double>*> bottoms) {
    double* labels = bottoms[1]->mutable_cpu_data();
    for (int i = 0; i < bottoms[1]->count(); ++i) {
      labels[i] = ignored != 0 && i % 3 == 1 ? ignored : i * 7 % 31 % classes;
    }
  };
  return comparison;
}

const std::vector<std::vector<int>> kShapes = {{1, 1},        {6, 10},   {3, 33},  {3, 4, 2},
                                               {2, 21, 5, 6}, {1500, 3}, {4, 300}, {3, 5, 30, 40}};

TEST_F(SoftmaxWithLossLayerGpu, EqualsTheCpu) {
  for (const auto& shape : kShapes) {
    for (int tops : {1, 2}) Compare("", shape, tops).Expect();
  }
  Compare("", {2, 2, 200, 200}).Expect();
}

TEST_F(SoftmaxWithLossLayerGpu, NormalizationsAndIgnoredLabels) {
  for (const char* mode : {"", "normalization: VALID", "normalization: FULL",
                           "normalization: BATCH_SIZE", "normalization: NONE", "normalize: true",
                           "normalize: false", "normalize: false normalization: NONE"}) {
    for (const int ignored : {0, 1, 2, -1, 255}) {
      const std::string ignore =
          ignored != 0 ? " ignore_label: " + std::to_string(ignored) : std::string();
      for (const std::vector<int>& shape : {std::vector<int>{7, 5}, std::vector<int>{4, 3, 5}}) {
        Compare("loss_param { " + (mode + ignore) + " }", shape, 2, ignored).Expect();
      }
    }
  }
}

TEST_F(SoftmaxWithLossLayerGpu, OtherAxis) {
  testing::GpuComparison comparison = Compare("softmax_param { axis: 2 }", {3, 4, 5});
  comparison.shapes = {{3, 5, 4}, {3, 5}};
  comparison.Expect();
}

TEST_F(SoftmaxWithLossLayerGpu, NothingCounts) {
  testing::GpuComparison comparison = Compare("loss_param { ignore_label: -1 }", {3, 4});
  comparison.fill = [](std::vector<Blob<double>*> bottoms) {
    std::fill_n(bottoms[1]->mutable_cpu_data(), 3, -1.);
  };
  comparison.Expect();
}

// Where the probability is 0 in float, the loss is that of the threshold.
TEST_F(SoftmaxWithLossLayerGpu, FloatWithoutAChance) {
  const testing::GpuMode mode;
  Blob<float> x(std::vector<int>{2, 3}), labels(std::vector<int>{2});
  testing::FillValues(&x, {0, 500, 0, 0, 0, 500});
  testing::FillValues(&labels, {0, 2});
  testing::LayerRun<float> run(testing::LayerFromText(Loss("")), {&x, &labels});
  EXPECT_NEAR(-std::log(FLT_MIN) / 2, run.Forward(), 1e-4);
  run.Backward({true, false});
  const float expected[] = {-0.5f, 0.5f, 0, 0, 0, 0};
  for (int i = 0; i < 6; ++i) EXPECT_NEAR(expected[i], x.cpu_diff()[i], 1e-6);
}

TEST_F(SoftmaxWithLossLayerGpu, NaNStaysNaN) {
  const testing::GpuMode mode;
  Blob<float> x(std::vector<int>{3, 4}), labels(std::vector<int>{3});
  x.mutable_cpu_data()[5] = NAN;
  testing::LayerRun<float> run(testing::LayerFromText(Loss("")), {&x, &labels});
  EXPECT_TRUE(std::isnan(run.Forward()));
}

// The message names the first label that is wrong, as on the CPU.
TEST_F(SoftmaxWithLossLayerGpu, LabelsOutsideOfTheClasses) {
  Blob<float> x(std::vector<int>{800, 5, 3}), labels(std::vector<int>{800, 3});
  FillGaussian(&x, 1);
  testing::LayerRun<float> run(testing::LayerFromText(Loss("loss_param { ignore_label: 9 }")),
                               {&x, &labels});
  const auto message_in = [&](Caffe::Brew mode) {
    Caffe::set_mode(mode);
    const std::string message = testing::ErrorOf([&] { run.Forward(); });
    Caffe::set_mode(Caffe::CPU);
    return message;
  };
  const std::vector<std::pair<int, float>> cases[] = {{{0, 5.f}},
                                                      {{0, -1.f}},
                                                      {{2399, 7.f}},
                                                      {{1023, 6.f}},
                                                      {{1024, 5.5f}},
                                                      {{1500, -1e9f}},
                                                      {{5, 9.f}, {6, 8.f}, {700, 7.f}},
                                                      {{2000, 6.f}, {1100, 8.f}, {1099, 9.f}}};
  for (const auto& bad : cases) {
    std::fill_n(labels.mutable_cpu_data(), labels.count(), 1.f);
    for (const auto& label : bad) labels.mutable_cpu_data()[label.first] = label.second;
    const std::string expected = message_in(Caffe::CPU);
    EXPECT_NE(expected.find("is outside of the 5 classes"), std::string::npos) << expected;
    EXPECT_EQ(expected, message_in(Caffe::GPU));
  }
  for (const float no_int : {NAN, 1e20f}) {
    std::fill_n(labels.mutable_cpu_data(), labels.count(), 1.f);
    labels.mutable_cpu_data()[700] = no_int;
    const std::string message = message_in(Caffe::GPU);
    EXPECT_NE(message.find("of image 233 "), std::string::npos) << message;
  }
  std::fill_n(labels.mutable_cpu_data(), labels.count(), 4.f);
  EXPECT_EQ("", message_in(Caffe::GPU));
  const testing::GpuMode mode;
  EXPECT_ERROR(run.Backward({true, true}), "labels get no gradient");
}

}  // namespace
}  // namespace caffe

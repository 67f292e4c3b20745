#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class SoftTargetLossLayerGpu : public testing::GpuTest {};

std::string Loss(const std::string& settings, const std::string& more = "", int tops = 1) {
  return "name: 'loss' type: 'SoftTargetLoss' soft_target_loss_param { " + settings + " } " + more +
         (tops > 1 ? " loss_weight: 3 loss_weight: 0" : "");
}

/// Labels 0, ..., classes - 1, every fifth of them `ignored` if that is not 0; scores of deviation
/// `spread`; a plan with shares of 0 and 1, too.
template <typename Dtype>
std::function<void(std::vector<Blob<Dtype>*>)> Fill(int classes, int ignored, Dtype spread = 1) {
  return [=](const std::vector<Blob<Dtype>*>& bottoms) {
    Dtype* x = bottoms[0]->mutable_cpu_data();
    for (int i = 0; i < bottoms[0]->count(); ++i) x[i] *= spread;
    Dtype* labels = bottoms[1]->mutable_cpu_data();
    for (int i = 0; i < bottoms[1]->count(); ++i) {
      labels[i] = ignored != 0 && i % 5 == 1 ? ignored : i * 7 % 31 % classes;
    }
    if (bottoms.size() < 3) return;
    const int num = bottoms[2]->shape(0);
    for (int n = 0; n < num; ++n) {
      Dtype* entry = bottoms[2]->mutable_cpu_data() + 4 * n;
      entry[0] = (n * 3 + 1) % num;
      entry[1] = n % 4 == 3 ? Dtype(1) : Dtype(n % 4) / 4;
      entry[2] = 0;
      entry[3] = 1;
    }
  };
}

testing::GpuComparison Compare(const std::string& layer, const std::vector<int>& shape, bool plan,
                               int tops = 1, int ignored = 0, double spread = 1) {
  testing::GpuComparison comparison;
  comparison.layer = layer;
  std::vector<int> positions = shape;
  positions.erase(positions.begin() + 1);
  comparison.shapes = {shape, positions};
  comparison.propagate_down = {true, false};
  if (plan) {
    comparison.shapes.push_back({shape[0], 4});
    comparison.propagate_down.push_back(false);
  }
  comparison.tops = tops;
  comparison.fill = Fill<double>(shape[1], ignored, spread);
  return comparison;
}

const std::vector<std::vector<int>> kShapes = {{6, 10},  {7, 33}, {5, 4, 2},      {2, 21, 5, 6},
                                               {6, 300}, {1, 1},  {3, 5, 30, 40}, {1500, 3}};

TEST_F(SoftTargetLossLayerGpu, EqualsTheCpu) {
  for (const char* settings : {"", "label_smoothing: 0.1", "label_smoothing: 1"}) {
    for (const char* phase : {"", "phase: TEST"}) {
      for (const auto& shape : kShapes) {
        for (const bool plan : {false, true}) {
          Compare(Loss(settings, phase), shape, plan).Expect();
        }
        Compare(Loss(settings, phase, 2), shape, true, 2).Expect();
      }
    }
  }
}

TEST_F(SoftTargetLossLayerGpu, NormalizationsAndIgnoredLabels) {
  for (const char* mode :
       {"", "normalization: VALID", "normalization: FULL", "normalization: BATCH_SIZE",
        "normalization: NONE", "normalize: true", "normalize: false"}) {
    for (const int ignored : {1, -1, 255}) {
      const std::string param =
          "loss_param { ignore_label: " + std::to_string(ignored) + " " + mode + " }";
      for (const bool plan : {false, true}) {
        for (const std::vector<int>& shape : {std::vector<int>{7, 5}, std::vector<int>{4, 3, 5}}) {
          Compare(Loss("label_smoothing: 0.2", param, 2), shape, plan, 2, ignored).Expect();
        }
      }
    }
  }
}

TEST_F(SoftTargetLossLayerGpu, OtherAxis) {
  testing::GpuComparison comparison =
      Compare(Loss("label_smoothing: 0.2", "softmax_param { axis: 2 }"), {3, 4, 5}, false);
  comparison.shapes = {{3, 5, 4}, {3, 5}};
  comparison.Expect();
}

// Where the probability is 0, TRAIN has the exact loss and TEST that of the smallest probability.
TEST_F(SoftTargetLossLayerGpu, WithoutAChance) {
  for (const char* phase : {"", "phase: TEST"}) {
    Compare(Loss("", phase), {8, 5}, true, 1, 0, 1000).Expect();
  }
}

TEST_F(SoftTargetLossLayerGpu, EqualsTheCpuInFloat) {
  for (const auto& shape : std::vector<std::vector<int>>{{6, 10}, {7, 33}, {6, 300}}) {
    testing::ExpectFloatEqualsTheCpu(Loss("label_smoothing: 0.1"), {shape, {shape[0]}}, 1e-5,
                                     Fill<float>(shape[1], 0), {true, false});
    testing::ExpectFloatEqualsTheCpu(Loss(""), {shape, {shape[0]}, {shape[0], 4}}, 1e-5,
                                     Fill<float>(shape[1], 0), {true, false, false});
  }
}

TEST_F(SoftTargetLossLayerGpu, NaNStaysNaN) {
  const testing::GpuMode mode;
  for (const char* phase : {"", "phase: TEST"}) {
    Blob<float> x(std::vector<int>{3, 4}), labels(std::vector<int>{3});
    x.mutable_cpu_data()[5] = NAN;
    testing::LayerRun<float> run(testing::LayerFromText(Loss("", phase)), {&x, &labels});
    EXPECT_TRUE(std::isnan(run.Forward()));
  }
}

// The message names the first label that is wrong, as on the CPU.
TEST_F(SoftTargetLossLayerGpu, Errors) {
  Blob<float> x(std::vector<int>{800, 5, 3}), labels(std::vector<int>{800, 3});
  Blob<float> plan(std::vector<int>{800, 4});
  testing::FillGaussian(&x, 1);
  testing::LayerRun<float> run(testing::LayerFromText(Loss("", "loss_param { ignore_label: 9 }")),
                               {&x, &labels, &plan});
  const auto message_in = [&](Caffe::Brew mode) {
    Caffe::set_mode(mode);
    const std::string message = testing::ErrorOf([&] { run.Forward(); });
    Caffe::set_mode(Caffe::CPU);
    return message;
  };
  for (int n = 0; n < 800; ++n) {
    float* entry = plan.mutable_cpu_data() + 4 * n;
    entry[0] = n;
    entry[1] = 1;
    entry[2] = 0;
    entry[3] = 1;
  }
  for (const int at : {0, 1023, 1024, 2399}) {
    std::fill_n(labels.mutable_cpu_data(), labels.count(), 1.f);
    labels.mutable_cpu_data()[at] = 6;
    labels.mutable_cpu_data()[at / 2] = 9;
    labels.mutable_cpu_data()[2399] = -1;
    const std::string expected = message_in(Caffe::CPU);
    EXPECT_NE(expected.find("is outside of the 5 classes"), std::string::npos) << expected;
    EXPECT_EQ(expected, message_in(Caffe::GPU));
  }
  std::fill_n(labels.mutable_cpu_data(), labels.count(), 4.f);
  EXPECT_EQ("", message_in(Caffe::GPU));
  plan.mutable_cpu_data()[40] = 800;
  const std::string expected = message_in(Caffe::CPU);
  EXPECT_NE(expected.find("as partner of image 10"), std::string::npos) << expected;
  EXPECT_EQ(expected, message_in(Caffe::GPU));
  const testing::GpuMode mode;
  EXPECT_ERROR(run.Backward({true, true, false}), "labels get no gradient");
  EXPECT_ERROR(run.Backward({true, false, true}), "the plan (bottom 2) gets no gradient");
}

}  // namespace
}  // namespace caffe

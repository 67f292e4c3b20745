#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class AccuracyLayerGpu : public testing::GpuTest {};

std::string Accuracy(const std::string& settings) {
  return "name: 'a' type: 'Accuracy' accuracy_param { " + settings + " }";
}

/// Scores of few values, so that some are equal; every third label is `ignored` if that is not 0.
template <typename Dtype>
std::function<void(std::vector<Blob<Dtype>*>)> Fill(int classes, int ignored) {
  return [=](const std::vector<Blob<Dtype>*>& bottoms) {
    Dtype* x = bottoms[0]->mutable_cpu_data();
    for (int i = 0; i < bottoms[0]->count(); ++i) x[i] = std::round(4 * x[i]);
    Dtype* labels = bottoms[1]->mutable_cpu_data();
    for (int i = 0; i < bottoms[1]->count(); ++i) {
      labels[i] = ignored != 0 && i % 3 == 1 ? ignored : i * 7 % 31 % classes;
    }
  };
}

testing::GpuComparison Compare(const std::string& settings, const std::vector<int>& shape, int tops,
                               int ignored = 0) {
  testing::GpuComparison comparison;
  comparison.layer = Accuracy(settings);
  std::vector<int> positions = shape;
  positions.erase(positions.begin() + 1);
  comparison.shapes = {shape, positions};
  comparison.tops = tops;
  comparison.fill = Fill<double>(shape[1], ignored);
  comparison.propagate_down = {false, false};
  return comparison;
}

TEST_F(AccuracyLayerGpu, EqualsTheCpu) {
  for (const std::vector<int>& shape : std::vector<std::vector<int>>{
           {6, 10}, {7, 33}, {5, 4, 2}, {2, 21, 5, 6}, {6, 300}, {3, 5, 30, 40}, {1500, 3}}) {
    for (const int top_k : {1, 2, 3}) {
      for (const int tops : {1, 2}) {
        Compare("top_k: " + std::to_string(top_k), shape, tops).Expect();
      }
    }
  }
  Compare("", {1, 1}, 2).Expect();
}

TEST_F(AccuracyLayerGpu, IgnoredLabels) {
  for (const int ignored : {1, -1, 255}) {
    for (const std::vector<int>& shape : {std::vector<int>{70, 5}, std::vector<int>{4, 3, 50}}) {
      Compare("ignore_label: " + std::to_string(ignored), shape, 2, ignored).Expect();
    }
  }
}

TEST_F(AccuracyLayerGpu, NothingCounts) {
  testing::GpuComparison comparison = Compare("ignore_label: -1", {3, 4}, 2);
  comparison.fill = [](std::vector<Blob<double>*> bottoms) {
    std::fill_n(bottoms[1]->mutable_cpu_data(), 3, -1.);
  };
  comparison.Expect();
}

TEST_F(AccuracyLayerGpu, OtherAxis) {
  testing::GpuComparison comparison = Compare("axis: 2 top_k: 2", {3, 4, 5}, 2);
  comparison.shapes = {{3, 5, 4}, {3, 5}};
  comparison.Expect();
}

TEST_F(AccuracyLayerGpu, EqualsTheCpuInFloat) {
  testing::ExpectFloatEqualsTheCpu(Accuracy("top_k: 2"), {{4, 6, 50}, {4, 50}}, 1e-6,
                                   Fill<float>(6, 0), {false, false});
}

TEST_F(AccuracyLayerGpu, LabelsOutsideOfTheClasses) {
  Blob<float> x(std::vector<int>{800, 5, 3}), labels(std::vector<int>{800, 3});
  testing::FillGaussian(&x, 1);
  testing::LayerRun<float> run(testing::LayerFromText(Accuracy("ignore_label: 9")), {&x, &labels});
  const auto message_in = [&](Caffe::Brew mode) {
    Caffe::set_mode(mode);
    const std::string message = testing::ErrorOf([&] { run.Forward(); });
    Caffe::set_mode(Caffe::CPU);
    return message;
  };
  for (const int at : {0, 1023, 1024, 2399}) {
    std::fill_n(labels.mutable_cpu_data(), labels.count(), 9.f);
    labels.mutable_cpu_data()[2399] = -1;
    labels.mutable_cpu_data()[at] = 6;
    const std::string expected = message_in(Caffe::CPU);
    EXPECT_NE(expected.find("is outside of the 5 classes"), std::string::npos) << expected;
    EXPECT_EQ(expected, message_in(Caffe::GPU));
  }
}

TEST_F(AccuracyLayerGpu, StaysOnTheDevice) {
  const testing::GpuMode mode;
  Blob<float> x(std::vector<int>{40, 5}), labels(std::vector<int>{40});
  testing::LayerRun<float> run(testing::LayerFromText(Accuracy("")), {&x, &labels}, 2);
  x.mutable_gpu_data();
  labels.mutable_gpu_data();
  run.Forward();
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, x.data()->head());
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, labels.data()->head());
  EXPECT_EQ(SyncedMemory::HEAD_AT_CPU, run.top[0]->data()->head());  // a number for the host
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, run.top[1]->data()->head());
}

}  // namespace
}  // namespace caffe

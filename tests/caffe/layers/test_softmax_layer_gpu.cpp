#include <gtest/gtest.h>

#include "testing/gpu_util.hpp"

namespace caffe {
namespace {

class SoftmaxLayerGpu : public testing::GpuTest {};

TEST_F(SoftmaxLayerGpu, EqualsTheCpu) {
  const std::vector<std::vector<int>> shapes = {{1, 1},     {5, 10},      {4, 31},   {4, 32},
                                                {4, 33},    {2, 300},     {3, 1000}, {2, 3, 4},
                                                {2, 40, 3}, {3, 21, 5, 6}};
  for (const auto& shape : shapes) {
    for (bool in_place : {false, true}) {
      testing::GpuComparison comparison;
      comparison.layer = "name: 's' type: 'Softmax'";
      comparison.shapes = {shape};
      comparison.in_place = in_place;
      comparison.Expect();
    }
  }
}

TEST_F(SoftmaxLayerGpu, OtherAxes) {
  for (const char* axis : {"0", "1", "2", "-1", "-3"}) {
    testing::GpuComparison comparison;
    comparison.layer =
        "name: 's' type: 'Softmax' softmax_param { axis: " + std::string(axis) + " }";
    comparison.shapes = {{4, 3, 5}};
    comparison.Expect();
  }
}

// Sizes at which an exponential would overflow, in whichever place the largest is.
TEST_F(SoftmaxLayerGpu, LargeValues) {
  const testing::GpuMode mode;
  const int classes = 70;
  Blob<float> x(std::vector<int>{classes, classes});
  testing::LayerRun<float> run(testing::LayerFromText("type: 'Softmax'"), {&x});
  for (const float size : {1000.f, -1000.f}) {
    float* values = x.mutable_cpu_data();
    for (int i = 0; i < x.count(); ++i) values[i] = size + (i % (classes + 1) == 0 ? 500 : 0);
    run.Forward();
    for (int i = 0; i < x.count(); ++i) {
      EXPECT_EQ(i % (classes + 1) == 0 ? 1 : 0, run.top[0]->cpu_data()[i]) << i;
    }
  }
}

TEST_F(SoftmaxLayerGpu, NaNStaysNaN) {
  const testing::GpuMode mode;
  for (const int at : {0, 3, 49}) {
    Blob<float> x(std::vector<int>{2, 50});
    x.mutable_cpu_data()[at] = NAN;
    testing::LayerRun<float> run(testing::LayerFromText("type: 'Softmax'"), {&x});
    run.Forward();
    for (int i = 0; i < x.count(); ++i) {
      EXPECT_EQ(i < 50, std::isnan(run.top[0]->cpu_data()[i])) << i;
    }
  }
}

}  // namespace
}  // namespace caffe

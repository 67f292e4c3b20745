#include <gtest/gtest.h>

#include "testing/neuron_layer_test.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(ReLULayer, Rectifies) {
  CheckNeuron(
      "type: 'ReLU'", [](double x) { return x > 0 ? x : 0; }, Layout::KEEPS_BLOCKS);
}

TEST(ReLULayer, NegativeSlope) {
  CheckNeuron(
      "type: 'ReLU' relu_param { negative_slope: 0.1 }",
      [](double x) { return x > 0 ? x : 0.1f * x; }, Layout::KEEPS_BLOCKS);
}

TEST(ReLULayer, GradientAtZeroIsTheSlope) {
  Blob<double> x(1, 1, 1, 3), dy(1, 1, 1, 3);
  FillValues(&x, {-1., 0., 1.});
  FillValues(&dy, {2., 2., 2.});
  EXPECT_EQ((std::vector<double>{0, 0, 2}), RunNeuron(LayerFromText("type: 'ReLU'"), x, dy).dx);
}

TEST(ReLULayer, MakesNoReorderOnBlocks) {
  Blob<float> x(2, 5, 3, 3);
  FillGaussian(&x, 1);
  x.mutable_cpu_data(16);
  const std::vector<Blob<float>*> bottom(1, &x);  // of {&x} g++ 14 for aarch64 warns, wrongly
  LayerRun<float> run(LayerFromText("type: 'ReLU'"), bottom);
  run.top[0]->overwrite_cpu_diff(16);
  const uint64_t before = ReorderCount();
  run.Forward();
  run.Backward();
  EXPECT_EQ(before, ReorderCount());
}

}  // namespace
}  // namespace caffe

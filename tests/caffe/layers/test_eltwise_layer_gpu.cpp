#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class EltwiseLayerGpu : public testing::GpuTest {};

std::string Eltwise(const std::string& settings) {
  return "name: 'e' type: 'Eltwise' eltwise_param { " + settings + " }";
}

TEST_F(EltwiseLayerGpu, EqualsTheCpu) {
  for (const char* settings :
       {"", "operation: PROD", "operation: PROD stable_prod_grad: false", "operation: MAX"}) {
    for (size_t bottoms : {2, 3, 4}) {
      testing::GpuComparison comparison;
      comparison.layer = Eltwise(settings);
      comparison.shapes.assign(bottoms, {3, 4, 5, 7});
      comparison.Expect();
      comparison.propagate_down.assign(bottoms, true);
      comparison.propagate_down[1] = false;
      comparison.Expect();
    }
  }
}

TEST_F(EltwiseLayerGpu, Coefficients) {
  testing::GpuComparison comparison;
  comparison.layer = Eltwise("coeff: 1 coeff: -0.5 coeff: 2");
  comparison.shapes.assign(3, {2, 5, 3});
  comparison.Expect();
  comparison.layer = Eltwise("coeff: 0.5 coeff: 0.25");
  comparison.shapes.assign(2, {7});
  comparison.Expect();
}

TEST_F(EltwiseLayerGpu, FirstOfEqualMaxima) {
  testing::GpuComparison comparison;
  comparison.layer = Eltwise("operation: MAX");
  comparison.shapes.assign(3, {2, 5});
  comparison.fill = [](std::vector<Blob<double>*> bottoms) {
    for (Blob<double>* blob : bottoms) {
      for (int i = 0; i < blob->count(); ++i) blob->mutable_cpu_data()[i] = i % 3;
    }
  };
  comparison.Expect();
}

// Bottoms whose gradients are equal keep them in one memory.
TEST_F(EltwiseLayerGpu, SharedDiffs) {
  const testing::GpuMode mode;
  Blob<double> a(2, 3, 4, 5), b(2, 3, 4, 5), c(2, 3, 4, 5), d(2, 3, 4, 5);
  testing::LayerRun<double> run(
      testing::LayerFromText(Eltwise("coeff: 1 coeff: 2 coeff: 2 coeff: 3")), {&a, &b, &c, &d});
  run.layer->AllowSharedDiffs({true, true, true, true});
  for (Blob<double>* blob : run.bottom) testing::FillGaussian(blob, 1);
  run.Forward();
  testing::SetDiff(a, run.top[0]);
  run.Backward();
  EXPECT_EQ(run.top[0]->diff(), a.diff());
  EXPECT_EQ(b.diff(), c.diff());
  for (int i = 0; i < a.count(); ++i) {
    ASSERT_EQ(a.cpu_data()[i], a.cpu_diff()[i]);
    ASSERT_EQ(2 * a.cpu_data()[i], c.cpu_diff()[i]);
    ASSERT_EQ(3 * a.cpu_data()[i], d.cpu_diff()[i]);
  }
}

TEST_F(EltwiseLayerGpu, InFloat) {
  for (const char* settings : {"coeff: 1 coeff: -0.5", "operation: PROD", "operation: MAX"}) {
    testing::ExpectFloatAgrees(Eltwise(settings), {{3, 4, 5}, {3, 4, 5}});
  }
}

TEST_F(EltwiseLayerGpu, StaysOnTheDevice) {
  for (const char* settings :
       {"", "operation: PROD", "operation: PROD stable_prod_grad: false", "operation: MAX"}) {
    testing::ExpectStaysOnGpu(Eltwise(settings), {{3, 4}, {3, 4}, {3, 4}});
  }
}

}  // namespace
}  // namespace caffe

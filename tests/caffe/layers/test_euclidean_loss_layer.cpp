#include <gtest/gtest.h>

#include "testing/blob_util.hpp"
#include "testing/gradient_checker.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(EuclideanLossLayer, MatchesFormulaAndGradient) {
  Blob<double> x(4, 3, 2, 1), t(4, 3, 2, 1);
  FillGaussian(&x, 1);
  FillGaussian(&t, 2);
  LayerRun<double> run(LayerFromText("type: 'EuclideanLoss' loss_weight: 2"), {&x, &t});
  double sum = 0;
  for (int i = 0; i < x.count(); ++i) sum += std::pow(x.cpu_data()[i] - t.cpu_data()[i], 2);
  EXPECT_NEAR(2 * sum / 8, run.Forward(), 1e-12);
  GradientChecker<double>(1e-5, 1e-7).CheckGradient(run.layer.get(), run.bottom, run.top);
}

TEST(EuclideanLossLayer, OneGradientAlone) {
  Blob<float> x(1, 2, 1, 1), t(1, 2, 1, 1);
  FillValues(&x, {1.f, 2.f});
  FillValues(&t, {0.f, 5.f});
  LayerRun<float> run(LayerFromText("type: 'EuclideanLoss'"), {&x, &t});
  EXPECT_FLOAT_EQ(5.f, run.Forward());
  run.Backward({false, true});
  EXPECT_EQ(0, x.asum_diff());
  EXPECT_FLOAT_EQ(-1.f, t.cpu_diff()[0]);
  EXPECT_FLOAT_EQ(3.f, t.cpu_diff()[1]);
}

TEST(EuclideanLossLayer, Errors) {
  const LayerParameter param = LayerFromText("type: 'EuclideanLoss'");
  Blob<float> x(2, 3, 1, 1), t(2, 4, 1, 1), u(3, 2, 1, 1);
  EXPECT_ERROR(LayerRun<float>(param, {&x, &t}), "2 4 1 1 (8)");
  EXPECT_ERROR(LayerRun<float>(param, {&x, &u}), "first axes must agree");
  EXPECT_ERROR(LayerRun<float>(param, {&x}), "exactly 2 bottom");
}

}  // namespace
}  // namespace caffe

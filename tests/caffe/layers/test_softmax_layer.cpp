#include <gtest/gtest.h>

#include "testing/blob_util.hpp"
#include "testing/gradient_checker.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(SoftmaxLayer, MatchesFormulaAlongTheAxis) {
  for (const int axis : {1, -1, 2}) {
    Blob<double> x(2, 5, 3, 4);
    FillGaussian(&x, 1, 0.0, 3.0);
    LayerParameter param = LayerFromText("type: 'Softmax'");
    param.mutable_softmax_param()->set_axis(axis);
    LayerRun<double> run(param, {&x});
    run.Forward();
    const int at = x.CanonicalAxisIndex(axis), extent = x.shape(at), inner = x.count(at + 1);
    for (int i = 0; i < x.count(); ++i) {
      const int first = i - i / inner % extent * inner;
      double sum = 0;
      for (int c = 0; c < extent; ++c) sum += std::exp(x.cpu_data()[first + c * inner]);
      ASSERT_NEAR(std::exp(x.cpu_data()[i]) / sum, run.top[0]->cpu_data()[i], 1e-12);
    }
    GradientChecker<double>(1e-5, 1e-6).CheckGradient(run.layer.get(), run.bottom, run.top);
  }
}

TEST(SoftmaxLayer, LargeInputsDoNotOverflow) {
  Blob<float> x(1, 3, 1, 1);
  FillValues(&x, {1000.f, 1000.f, -1000.f});
  LayerRun<float> run(LayerFromText("type: 'Softmax'"), {&x});
  run.Forward();
  EXPECT_FLOAT_EQ(0.5f, run.top[0]->cpu_data()[0]);
  EXPECT_FLOAT_EQ(0.f, run.top[0]->cpu_data()[2]);
}

TEST(SoftmaxLayer, ReadsBlocks) {
  Blob<float> x(2, 5, 3, 3), blocked;
  FillGaussian(&x, 1);
  LayerRun<float> plain(LayerFromText("type: 'Softmax'"), {&x});
  plain.Forward();
  blocked.CopyFrom(x, false, true);
  blocked.mutable_cpu_data(16);
  LayerRun<float> run(LayerFromText("type: 'Softmax'"), {&blocked});
  run.Forward();
  EXPECT_EQ(0, RelativeError(run.top[0]->cpu_data(), plain.top[0]->cpu_data(), x.count()));
}

TEST(SoftmaxLayer, BadAxis) {
  Blob<float> x(std::vector<int>{2, 3});
  EXPECT_ERROR(LayerRun<float>(LayerFromText("type: 'Softmax' softmax_param { axis: 2 }"), {&x}),
               "axis 2 is out of range");
}

}  // namespace
}  // namespace caffe

#include <gtest/gtest.h>

#include "testing/blob_util.hpp"
#include "testing/gradient_checker.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(ReductionLayer, OperationsAndGradients) {
  const double coeff = 2.5;
  for (const char* operation : {"SUM", "ASUM", "SUMSQ", "MEAN"}) {
    for (const int axis : {0, 1, 2, -1}) {
      Blob<double> x(std::vector<int>{2, 3, 4});
      FillGaussian(&x, 1);
      LayerRun<double> run(LayerFromText("type: 'Reduction' reduction_param { coeff: 2.5 axis: " +
                                         std::to_string(axis) + " operation: " + operation + " }"),
                           {&x});
      run.Forward();
      const int kept = axis < 0 ? 2 : axis, size = x.count(kept);
      ASSERT_EQ(std::vector<int>(x.shape().begin(), x.shape().begin() + kept), run.top[0]->shape());
      for (int row = 0; row < run.top[0]->count(); ++row) {
        double sum = 0;
        for (int i = row * size; i < (row + 1) * size; ++i) {
          const double v = x.cpu_data()[i];
          sum += operation == std::string("ASUM")    ? std::fabs(v)
                 : operation == std::string("SUMSQ") ? v * v
                                                     : v;
        }
        if (operation == std::string("MEAN")) sum /= size;
        ASSERT_NEAR(coeff * sum, run.top[0]->cpu_data()[row], 1e-12) << operation << axis;
      }
      GradientChecker<double>(1e-5, 1e-6, 1701, 0, 1e-3)
          .CheckGradient(run.layer.get(), run.bottom, run.top);
    }
  }
}

TEST(ReductionLayer, NoRows) {
  Blob<float> x(std::vector<int>{0, 3});
  LayerRun<float> run(LayerFromText("type: 'Reduction' reduction_param { axis: 1 }"), {&x});
  run.Forward();
  EXPECT_EQ(0, run.top[0]->count());
  run.layer->Backward(run.top, {true}, run.bottom);
}

TEST(ReductionLayer, BadAxis) {
  Blob<float> x(std::vector<int>{2, 3});
  EXPECT_ERROR(
      LayerRun<float>(LayerFromText("type: 'Reduction' reduction_param { axis: 2 }"), {&x}),
      "axis 2 is out of range");
}

}  // namespace
}  // namespace caffe

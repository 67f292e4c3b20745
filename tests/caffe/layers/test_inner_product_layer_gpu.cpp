#include <gtest/gtest.h>

#include "testing/gpu_util.hpp"

namespace caffe {
namespace {

class InnerProductLayerGpu : public testing::GpuTest {};

std::string InnerProduct(const std::string& settings) {
  return "name: 'ip' type: 'InnerProduct' inner_product_param { " + settings +
         " weight_filler { type: 'gaussian' std: 0.3 } bias_filler { type: 'gaussian' std: 2 } }";
}

TEST_F(InnerProductLayerGpu, EqualsTheCpu) {
  const std::vector<std::vector<int>> shapes = {{1, 1}, {5, 7}, {2, 3, 4, 5}, {33, 2, 3}};
  for (const auto& shape : shapes) {
    for (const char* outputs : {"num_output: 1", "num_output: 10", "num_output: 70"}) {
      for (const char* options : {"", " bias_term: false", " transpose: true",
                                  " transpose: true bias_term: false", " axis: -1", " axis: 0"}) {
        testing::GpuComparison comparison;
        comparison.layer = InnerProduct(outputs + std::string(options));
        comparison.shapes = {shape};
        comparison.Expect();
      }
    }
  }
}

TEST_F(InnerProductLayerGpu, ManyRows) {
  testing::GpuComparison comparison;
  comparison.layer = InnerProduct("num_output: 3 axis: 2");
  comparison.shapes = {{4, 300, 5}};
  comparison.Expect();
}

TEST_F(InnerProductLayerGpu, OnlyWhatIsAskedFor) {
  const testing::GpuMode mode;
  Blob<float> x(3, 4, 1, 1);
  testing::FillGaussian(&x, 1);
  for (int asked = 0; asked < 8; ++asked) {
    testing::LayerRun<float> run(testing::LayerFromText(InnerProduct("num_output: 5")), {&x});
    for (int i = 0; i < 2; ++i) run.layer->set_param_propagate_down(i, (asked >> i & 1) != 0);
    caffe_set(x.count(), 0.f, x.mutable_cpu_diff());
    run.Forward();
    testing::SetDiff(*run.top[0], run.top[0]);
    run.Backward({(asked & 4) != 0});
    EXPECT_EQ((asked & 1) != 0, run.layer->blobs()[0]->asum_diff() != 0);
    EXPECT_EQ((asked & 2) != 0, run.layer->blobs()[1]->asum_diff() != 0);
    EXPECT_EQ((asked & 4) != 0, x.asum_diff() != 0);
  }
}

}  // namespace
}  // namespace caffe

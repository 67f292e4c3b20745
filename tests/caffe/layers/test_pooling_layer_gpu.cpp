#include <gtest/gtest.h>

#include "testing/gpu_util.hpp"

namespace caffe {
namespace {

class PoolingLayerGpu : public testing::GpuTest {};

testing::GpuComparison Pool(const std::string& settings, std::vector<int> shape) {
  testing::GpuComparison comparison;
  comparison.layer = "name: 'p' type: 'Pooling' pooling_param { " + settings + " }";
  comparison.shapes = {shape};
  comparison.tolerance = 1e-13;
  return comparison;
}

TEST_F(PoolingLayerGpu, EqualsTheCpu) {
  const struct {
    const char* settings;
    std::vector<int> shape;
  } cases[] = {{"kernel_size: 2 stride: 2", {2, 3, 4, 6}},
               {"kernel_size: 2 stride: 2", {2, 3, 5, 7}},
               {"kernel_size: 2 stride: 2 round_mode: FLOOR", {1, 5, 5, 7}},
               {"kernel_size: 3 stride: 2", {2, 17, 8, 7}},
               {"kernel_size: 3 stride: 1 pad: 1", {2, 3, 6, 5}},
               {"kernel_size: 3 stride: 2 pad: 1", {3, 2, 8, 7}},
               {"kernel_size: 3 pad: 2", {2, 3, 4, 1}},
               {"kernel_size: 4 stride: 3 pad: 2", {2, 3, 5, 6}},
               {"kernel_h: 1 kernel_w: 3 pad_h: 0 pad_w: 1 stride_h: 2 stride_w: 1", {2, 3, 5, 6}},
               {"kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1", {2, 3, 7, 5}},
               {"kernel_size: 2 stride: 2 pad: 1", {2, 3, 3, 5}},
               {"kernel_size: 1 stride: 3", {2, 3, 5, 8}},
               {"kernel_size: 1", {2, 3, 1, 1}},
               {"global_pooling: true", {2, 3, 3, 5}}};
  for (const auto& c : cases) {
    for (const char* method : {" pool: MAX", " pool: AVE"}) {
      Pool(c.settings + std::string(method), c.shape).Expect();
    }
  }
}

// Few distinct values: many windows have their maximum more than once.
TEST_F(PoolingLayerGpu, MaskAndGradientOfTheFirstMaximum) {
  for (const char* settings : {"kernel_size: 2 stride: 2", "kernel_size: 3 stride: 2 pad: 1",
                               "kernel_size: 3 stride: 1", "global_pooling: true"}) {
    for (int tops : {1, 2}) {
      testing::GpuComparison comparison = Pool(settings, {2, 3, 7, 6});
      comparison.tops = tops;
      comparison.fill = [](std::vector<Blob<double>*> bottoms) {
        double* x = bottoms[0]->mutable_cpu_data();
        for (int i = 0; i < bottoms[0]->count(); ++i) x[i] = std::floor(x[i]);
      };
      comparison.Expect();
    }
  }
}

TEST_F(PoolingLayerGpu, FloatFollowsOtherSizes) {
  const testing::GpuMode mode;
  const LayerParameter param =
      testing::LayerFromText("type: 'Pooling' pooling_param { kernel_size: 3 stride: 2 }");
  Blob<float> x(1, 1, 3, 3);
  testing::LayerRun<float> run(param, {&x});
  for (const int size : {5, 9, 3}) {
    x.Reshape(2, 1, size, size);
    float* values = x.mutable_cpu_data();
    for (int i = 0; i < x.count(); ++i) values[i] = float(i);
    run.Forward();
    const int out = (size - 1) / 2;
    ASSERT_EQ(2 * out * out, run.top[0]->count());
    // The last pixel of a window is its largest, and no other window's.
    caffe_set(run.top[0]->count(), 2.f, run.top[0]->mutable_cpu_diff());
    run.Backward();
    for (int i = 0; i < run.top[0]->count(); ++i) {
      const int row = 2 * (i / out % out) + 2, column = 2 * (i % out) + 2;
      const int at = (i / (out * out) * size + row) * size + column;
      EXPECT_EQ(float(at), run.top[0]->cpu_data()[i]);
      EXPECT_EQ(2.f, x.cpu_diff()[at]);
    }
    EXPECT_EQ(2.f * run.top[0]->count(), x.asum_diff());
  }
}

}  // namespace
}  // namespace caffe

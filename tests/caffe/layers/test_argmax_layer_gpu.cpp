#include <gtest/gtest.h>

#include "testing/gpu_util.hpp"

namespace caffe {
namespace {

class ArgMaxLayerGpu : public testing::GpuTest {};

TEST_F(ArgMaxLayerGpu, EqualsTheCpu) {
  for (const std::string values : {"", " out_max_val: true"}) {
    for (const char* axis : {"", " axis: 0", " axis: 1", " axis: 2", " axis: -1"}) {
      for (const int top_k : {1, 2, 5}) {
        for (const std::vector<int>& shape :
             std::vector<std::vector<int>>{{6, 7, 5}, {5, 6, 7, 8}}) {
          testing::GpuComparison comparison;
          comparison.layer =
              "name: 'a' type: 'ArgMax' argmax_param { top_k: " + std::to_string(top_k) + values +
              axis + " }";
          comparison.shapes = {shape};
          comparison.propagate_down = {false};
          // Of few values, so that some are equal.
          comparison.fill = [](const std::vector<Blob<double>*>& bottoms) {
            double* x = bottoms[0]->mutable_cpu_data();
            for (int i = 0; i < bottoms[0]->count(); ++i) x[i] = std::round(3 * x[i]);
          };
          comparison.Expect();
        }
      }
    }
  }
}

TEST_F(ArgMaxLayerGpu, StaysOnTheDevice) {
  const testing::GpuMode mode;
  Blob<float> x(std::vector<int>{40, 5});
  testing::LayerRun<float> run(testing::LayerFromText("type: 'ArgMax'"), {&x});
  x.mutable_gpu_data();
  run.Forward();
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, x.data()->head());
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, run.top[0]->data()->head());
  EXPECT_ERROR(run.Backward(), "ArgMax has no gradient");
}

}  // namespace
}  // namespace caffe

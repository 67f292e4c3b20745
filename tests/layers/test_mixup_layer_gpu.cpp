#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class MixupLayerGpu : public testing::GpuTest {};

std::string Mixup(const std::string& more = "") {
  return "name: 'm' type: 'Mixup' mixup_param { position: 1 } " + more;
}

// Plans for five images.
const std::vector<std::vector<double>> kPlans = {
    {3, 0.3, 1, 3, 2, 0.9, 1, 3, 0, 0.5, 1, 3, 1, 0.25, 1, 3, 4, 0.7, 1, 3},  // a permutation
    {2, 0.3, 1, 3, 2, 0.9, 1, 3, 2, 0.5, 1, 3, 2, 0.25, 1, 3, 2, 0.7, 1, 3},  // a common partner
    {1, 1, 1, 3, 2, 0, 1, 3, 0, 0.5, 1, 3, 0, 0, 1, 3, 1, 1, 1, 3},
    {3, 0.3, 0, 3, 2, 0.9, 0, 3, 0, 0.5, 0, 3, 1, 0.25, 0, 3, 4, 0.7, 0, 3},  // another position
    {3, 0.3, 0, 3, 2, 0.9, 1, 3, 0, 0.5, 2, 3, 1, 0.25, 1, 3, 4, 0.7, 0, 3}};

template <typename Dtype>
std::function<void(std::vector<Blob<Dtype>*>)> Fill(const std::vector<double>& plan) {
  return [plan](const std::vector<Blob<Dtype>*>& bottoms) {
    std::copy(plan.begin(), plan.end(), bottoms[1]->mutable_cpu_data());
  };
}

const std::vector<std::vector<int>> kShapes = {{5, 3, 4, 7}, {5, 19, 2}, {5, 6}, {5}};

TEST_F(MixupLayerGpu, EqualsTheCpu) {
  for (const char* phase : {"", "phase: TEST"}) {
    for (const auto& plan : kPlans) {
      for (const auto& shape : kShapes) {
        testing::GpuComparison comparison;
        comparison.layer = Mixup(phase);
        comparison.shapes = {shape, {5, 4}};
        comparison.fill = Fill<double>(plan);
        comparison.propagate_down = {true, false};
        comparison.tolerance = 1e-14;
        comparison.Expect();
      }
    }
  }
}

TEST_F(MixupLayerGpu, EqualsTheCpuInFloat) {
  for (const auto& plan : kPlans) {
    for (const auto& shape : kShapes) {
      testing::ExpectFloatEqualsTheCpu(Mixup(), {shape, {5, 4}}, 1e-6, Fill<float>(plan),
                                       {true, false});
    }
  }
}

TEST_F(MixupLayerGpu, OnlyThePlanIsReadByTheHost) {
  const testing::GpuMode mode;
  Blob<float> x(5, 3, 4, 7), plan(std::vector<int>{5, 4});
  x.mutable_gpu_data();
  Fill<float>(kPlans[0])({&x, &plan});
  testing::LayerRun<float> run(testing::LayerFromText(Mixup()), {&x, &plan});
  run.Forward();
  run.top[0]->mutable_gpu_diff();
  run.Backward({true, false});
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, x.data()->head());
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, x.diff()->head());
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, run.top[0]->data()->head());
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, run.top[0]->diff()->head());
}

TEST_F(MixupLayerGpu, Errors) {
  const testing::GpuMode mode;
  Blob<float> x(5, 3, 4, 7), plan(std::vector<int>{5, 4});
  std::vector<double> bad = kPlans[0];
  bad[4] = 5;
  Fill<float>(bad)({&x, &plan});
  testing::LayerRun<float> run(testing::LayerFromText(Mixup()), {&x, &plan});
  EXPECT_ERROR(run.Forward(), "the plan names image 5 as partner of image 1 in a batch of 5");
  EXPECT_ERROR(run.Backward({true, true}), "the plan (bottom 1) gets no gradient");
}

}  // namespace
}  // namespace caffe

#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class DropBlockLayerGpu : public testing::GpuTest {};

std::string DropBlock(const std::string& settings, const std::string& more = "") {
  return "name: 'd' type: 'DropBlock' dropblock_param { " + settings + " } " + more;
}

const std::vector<std::vector<int>> kShapes = {
    {3, 4, 9, 12}, {2, 19, 3, 2}, {2, 3, 1, 1}, {300, 2, 5, 5}};

// The same squares are dropped, and the other elements have the same bits.
TEST_F(DropBlockLayerGpu, EqualsTheCpu) {
  for (const std::string& layer :
       {DropBlock("drop_prob: 0.3 block_size: 3"), DropBlock("drop_prob: 0.9 block_size: 2"),
        DropBlock("drop_prob: 0.5 block_size: 1"), DropBlock("drop_prob: 0.3"),
        DropBlock("drop_prob: 0"), DropBlock("drop_prob: 0.6 block_size: 2 anneal_iter: 3"),
        DropBlock("drop_prob: 0.3 block_size: 3", "phase: TEST")}) {
    for (const std::vector<int>& shape : kShapes) {
      for (bool in_place : {false, true}) {
        testing::GpuComparison comparison;
        comparison.layer = layer;
        comparison.shapes = {shape};
        comparison.in_place = in_place;
        comparison.tolerance = 1e-100;
        comparison.Expect();
      }
    }
  }
}

TEST_F(DropBlockLayerGpu, EqualsTheCpuInFloat) {
  for (const std::vector<int>& shape : kShapes) {
    testing::ExpectFloatEqualsTheCpu(DropBlock("drop_prob: 0.4 block_size: 2"), {shape}, 1e-100);
  }
}

// One dropped square is all there is in each of these maps.
TEST_F(DropBlockLayerGpu, EverythingDropped) {
  const testing::GpuMode mode;
  Blob<float> x(2, 3, 4, 4);
  testing::FillGaussian(&x, 1);
  testing::LayerRun<float> run(testing::LayerFromText(DropBlock("drop_prob: 0.9999999")), {&x});
  run.Forward();
  for (int i = 0; i < x.count(); ++i) EXPECT_EQ(0, run.top[0]->cpu_data()[i]);
}

// All but the count of passes.
TEST_F(DropBlockLayerGpu, StaysOnTheDevice) {
  const testing::GpuMode mode;
  Blob<float> x(2, 3, 9, 9);
  x.mutable_gpu_data();
  testing::LayerRun<float> run(testing::LayerFromText(DropBlock("block_size: 3")), {&x});
  run.Forward();
  run.top[0]->mutable_gpu_diff();
  run.Backward();
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, x.data()->head());
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, x.diff()->head());
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, run.top[0]->data()->head());
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, run.top[0]->diff()->head());
}

}  // namespace
}  // namespace caffe

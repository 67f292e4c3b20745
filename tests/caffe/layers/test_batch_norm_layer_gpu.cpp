#include <gtest/gtest.h>

#include "caffe/net.hpp"
#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class BatchNormLayerGpu : public testing::GpuTest {};

const char kBatchNorm[] = "name: 'bn' type: 'BatchNorm' ";
// Statistics of three channels that a trained layer has.
const char kStored[] =
    " blobs { shape { dim: 3 } double_data: -1 double_data: 0.5 double_data: 2 }"
    "blobs { shape { dim: 3 } double_data: 0.5 double_data: 1.5 double_data: 4 }"
    "blobs { shape { dim: 1 } double_data: 2 }";

TEST_F(BatchNormLayerGpu, EqualsTheCpu) {
  // Few and many values per channel, several blocks of threads per channel, one axis.
  for (const std::vector<int>& shape : std::vector<std::vector<int>>{{3, 4, 5, 7},
                                                                     {2, 300, 2, 3},
                                                                     {2, 2, 1, 1},
                                                                     {200, 3},
                                                                     {5, 2, 40, 40},
                                                                     {4, 600, 3, 3},
                                                                     {70, 3, 5},
                                                                     {50}}) {
    for (bool in_place : {false, true}) {
      testing::GpuComparison comparison;
      comparison.layer =
          std::string(kBatchNorm) + "batch_norm_param { moving_average_fraction: 0.9 eps: 0.001 }";
      comparison.shapes = {shape};
      comparison.in_place = in_place;
      comparison.Expect();
    }
  }
}

TEST_F(BatchNormLayerGpu, StoredStatistics) {
  for (const char* settings :
       {"phase: TEST", "batch_norm_param { use_global_stats: true eps: 0.1 }",
        "batch_norm_param { use_global_stats: false }",
        "phase: TEST batch_norm_param { eps: 1 }"}) {
    for (bool stored : {false, true}) {
      for (bool in_place : {false, true}) {
        testing::GpuComparison comparison;
        comparison.layer = kBatchNorm + std::string(settings) + (stored ? kStored : "");
        comparison.shapes = {{4, 3, 5, 6}};
        comparison.in_place = in_place;
        comparison.Expect();
      }
    }
  }
}

TEST_F(BatchNormLayerGpu, NoGradientAsked) {
  testing::GpuComparison comparison;
  comparison.layer = kBatchNorm;
  comparison.shapes = {{4, 3, 5, 6}};
  comparison.propagate_down = {false};
  comparison.Expect();
}

TEST_F(BatchNormLayerGpu, NothingCancelsFarFromZero) {
  const auto far = [](std::vector<Blob<double>*> bottom) {
    for (int i = 0; i < bottom[0]->count(); ++i) bottom[0]->mutable_cpu_data()[i] += 1e6;
  };
  testing::GpuComparison comparison;
  comparison.layer = kBatchNorm;
  comparison.shapes = {{6, 3, 30, 30}};
  comparison.fill = far;
  // What the CPU loses in alpha x + beta.
  comparison.tolerance = 1e-7;
  comparison.Expect();
  testing::ExpectFloatAgrees(kBatchNorm, {{6, 3, 30, 30}}, 1000, 1e-3);
}

TEST_F(BatchNormLayerGpu, InFloat) {
  testing::ExpectFloatAgrees(kBatchNorm, {{6, 3, 30, 30}}, 0.5, 1e-4);
  testing::ExpectFloatAgrees(std::string(kBatchNorm) + "phase: TEST" + kStored, {{2, 3, 4, 5}});
}

TEST_F(BatchNormLayerGpu, StaysOnTheDevice) {
  for (bool in_place : {false, true}) {
    testing::ExpectStaysOnGpu(kBatchNorm, {{3, 4, 5, 7}}, 1, in_place);
    testing::ExpectStaysOnGpu(std::string(kBatchNorm) + "phase: TEST", {{3, 4, 5, 7}}, 1, in_place);
  }
}

// What was fused in CPU mode is not taken apart in GPU mode.
TEST_F(BatchNormLayerGpu, FusedInCpuMode) {
  const NetParameter param = testing::NetFromText(
      "layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 2 dim: 3 dim: 4"
      " dim: 5 } } }"
      "layer { name: 'bn' type: 'BatchNorm' bottom: 'x' top: 'y' }"
      "layer { name: 'scale' type: 'Scale' bottom: 'y' top: 'y' scale_param { bias_term: true"
      " filler { type: 'gaussian' } } }"
      "layer { name: 'relu' type: 'ReLU' bottom: 'y' top: 'y' } force_backward: true state { "
      "phase: TRAIN }");
  std::vector<std::vector<float>> values[2];
  for (int gpu : {0, 1}) {
    Caffe::set_random_seed(5);
    Net<float> net(param);
    if (gpu) Caffe::set_mode(Caffe::GPU);
    testing::FillGaussian(net.input_blobs()[0], 1);
    net.Forward();
    Blob<float>* top = net.output_blobs()[0];
    testing::FillGaussian(top, 2);  // the data is not read any more
    testing::SetDiff(*top, top);
    net.Backward();
    const Blob<float>* bottom = net.input_blobs()[0];
    values[gpu].emplace_back(bottom->cpu_diff(), bottom->cpu_diff() + bottom->count());
    for (const Blob<float>* blob : net.learnable_params()) {
      values[gpu].emplace_back(blob->cpu_diff(), blob->cpu_diff() + blob->count());
    }
    Caffe::set_mode(Caffe::CPU);
  }
  ASSERT_EQ(values[0].size(), values[1].size());
  for (size_t i = 0; i < values[0].size(); ++i) {
    EXPECT_LT(testing::RelativeError(values[1][i].data(), values[0][i].data(),
                                     static_cast<int>(values[0][i].size())),
              1e-5)
        << i;
  }
}

}  // namespace
}  // namespace caffe

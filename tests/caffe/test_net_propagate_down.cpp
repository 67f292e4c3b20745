// propagate_down: false: a layer passes no gradient down, and leaves its bottom's diff alone, which
// another layer of the bottom may be added up with.
#include "caffe/net.hpp"
#include "testing/gpu_util.hpp"

namespace caffe {
namespace testing {
namespace {

// x -> conv -> c, which `branch` reads with propagate_down: false and an Eltwise without effect, so
// that conv gets no gradient.
NetParameter Branched(const string& branch) {
  return NetFromText(
      R"(layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 dim: 6 dim: 5 } } }
         layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 4 dim: 8 dim: 6 dim: 5 } } }
         layer { name: "conv" type: "Convolution" bottom: "x" top: "c"
                 convolution_param { num_output: 8 kernel_size: 3 pad: 1
                                     weight_filler { type: "gaussian" std: 0.3 } } })" +
      branch +
      R"(layer { name: "none" type: "Eltwise" bottom: "c" bottom: "y" top: "sum"
                 eltwise_param { coeff: 0 coeff: 1 } }
         layer { name: "loss" type: "EuclideanLoss" bottom: "sum" bottom: "t" top: "loss" })");
}

template <typename Dtype>
Dtype Magnitude(const Blob<Dtype>& blob) {
  return blob.asum_diff() / blob.count();
}

// Two passes; layer 'l' of `branch` has `own` parameters that learn.
template <typename Dtype>
void ExpectNothingPassed(const string& branch, int own, bool reuse_memory) {
  SCOPED_TRACE(branch);
  Caffe::set_random_seed(5);
  Net<Dtype> net(Branched(branch));
  if (reuse_memory) net.ReuseMemory();
  for (int i = 0; i < 2; ++i) FillGaussian<Dtype>(net.input_blobs()[i], i + 1, 0.3, 1.5);
  for (int pass = 0; pass < 2; ++pass) {
    net.ClearParamDiffs();
    net.ForwardBackward();
    EXPECT_EQ(0, Magnitude(*net.learnable_params()[0])) << "conv";
    EXPECT_EQ(0, Magnitude(*net.learnable_params()[1])) << "conv";
    for (int i = 0; i < own; ++i) EXPECT_GT(Magnitude(*net.layer_by_name("l")->blobs()[i]), 0);
  }
}

void ExpectNothingPassed(const string& branch, int own) {
  ExpectNothingPassed<double>(branch, own, false);
  ExpectNothingPassed<float>(branch, own, false);
  ExpectNothingPassed<float>(branch, own, true);
}

void ExpectNothingPassedByAnyLayer() {
  const string end = " bottom: 'c' top: 'y' propagate_down: false }";
  const string filler = "weight_filler { type: 'gaussian' std: 0.3 }";
  ExpectNothingPassed(
      "layer { name: 'l' type: 'Convolution' convolution_param { num_output: 8 "
      "kernel_size: 3 pad: 1 " +
          filler + " }" + end,
      2);
  ExpectNothingPassed(
      "layer { name: 'l' type: 'Convolution' convolution_param { num_output: 8 "
      "group: 8 kernel_size: 3 pad: 1 " +
          filler + " }" + end,
      2);
  ExpectNothingPassed("layer { name: 'l' type: 'Scale' scale_param { bias_term: true }" + end, 2);
  ExpectNothingPassed("layer { name: 'l' type: 'Bias'" + end, 1);
  ExpectNothingPassed("layer { name: 'l' type: 'PReLU'" + end, 1);
  ExpectNothingPassed(
      "layer { name: 'l' type: 'MetaPerturb' metaperturb_param { "
      "spatial_norm_factor: 6 }" +
          end,
      0);
  ExpectNothingPassed("layer { name: 'l' type: 'MetaPerturb' param { name: 'phi' } " + end, 1);
  const string norm = "layer { name: 'n' type: 'BatchNorm'" + end;
  ExpectNothingPassed(norm, 0);
  const string scale = "layer { name: 'l' type: 'Scale' bottom: 'y' top: 'y' }";
  const string relu = "layer { name: 'r' type: 'ReLU' bottom: 'y' top: 'y' }";
  ExpectNothingPassed(norm + scale + relu, 1);
}

// Layers behind, in place, that others would compute, too (Layer::Absorb).
void ExpectNothingPassedByLayersInPlace() {
  const string stop = " bottom: 'y' top: 'y' propagate_down: false }";
  const string norm = "layer { name: 'n' type: 'BatchNorm' bottom: 'c' top: 'y' }";
  const string scale = "layer { name: 'l' type: 'Scale' bottom: 'y' top: 'y' }";
  const string perturb =
      "layer { name: 'l' type: 'MetaPerturb' param { name: 'phi' } "
      "bottom: 'c' top: 'y' }";
  const string sum = "layer { name: 's' type: 'Eltwise' bottom: 'c' bottom: 't' top: 'y' }";
  ExpectNothingPassed(norm + "layer { name: 'r' type: 'ReLU'" + stop, 0);
  ExpectNothingPassed(norm + "layer { name: 'l' type: 'Scale'" + stop, 1);
  ExpectNothingPassed(sum + "layer { name: 'r' type: 'ReLU'" + stop, 0);
  for (const string& before : {norm + scale, perturb}) {
    const NetParameter text = Branched(before + "layer { name: 'r' type: 'ReLU'" + stop);
    Net<float> net(text);
    for (int i = 0; i < 2; ++i) FillGaussian<float>(net.input_blobs()[i], i + 1, 0.3f, 1.5f);
    net.ClearParamDiffs();
    net.ForwardBackward();
    for (const Blob<float>* param : net.learnable_params()) EXPECT_EQ(0, Magnitude(*param));
  }
}

TEST(NetPropagateDown, ALayerLeavesItsBottomsDiffAlone) {
  ExpectNothingPassedByAnyLayer();
}
TEST(NetPropagateDown, LayersInPlaceStopTheGradient) {
  ExpectNothingPassedByLayersInPlace();
}

class NetPropagateDownGpu : public GpuTest {};

TEST_F(NetPropagateDownGpu, ALayerLeavesItsBottomsDiffAlone) {
  const GpuMode mode;
  ExpectNothingPassedByAnyLayer();
}
TEST_F(NetPropagateDownGpu, LayersInPlaceStopTheGradient) {
  const GpuMode mode;
  ExpectNothingPassedByLayersInPlace();
}

}  // namespace
}  // namespace testing
}  // namespace caffe

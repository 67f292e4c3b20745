// Layers that one layer computes (Layer::Absorb) and gradients that share memory, in float, against
// the same net layer by layer in double.
#include <gtest/gtest.h>

#include "caffe/net.hpp"
#include "testing/blob_util.hpp"

namespace caffe {
namespace testing {
namespace {

// x (4 x 19 x 5 x 6) -> `middle`, which makes y of x and of its convolution c -> loss.
NetParameter Around(const string& middle, Phase phase) {
  NetParameter net = NetFromText(
      R"(layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 4 dim: 19 dim: 5 dim: 6 } } }
         layer { name: "target" type: "Input" top: "t" input_param { shape { dim: 4 dim: 19 dim: 5 dim: 6 } } }
         layer { name: "conv" type: "Convolution" bottom: "x" top: "c"
                 convolution_param { num_output: 19 kernel_size: 3 pad: 1 bias_term: false
                                     weight_filler { type: "gaussian" std: 0.3 } } })" +
      middle +
      R"(layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" })");
  net.set_force_backward(true);
  net.mutable_state()->set_phase(phase);
  return net;
}

template <typename Dtype>
void Fill(Net<Dtype>* net) {
  for (size_t i = 0; i < net->input_blobs().size(); ++i) {
    FillGaussian<Dtype>(net->input_blobs()[i], i + 1, Dtype(0.3), Dtype(1.5));
  }
}

void ExpectEqualPasses(Net<float>* fused, Net<double>* plain) {
  // The second pass finds what the first one left behind.
  for (int pass = 0; pass < 2; ++pass) {
    fused->ClearParamDiffs();
    plain->ClearParamDiffs();
    const double loss = fused->ForwardBackward();
    EXPECT_NEAR(loss / plain->ForwardBackward(), 1, 1e-5);
  }
  const Blob<float>& x = *fused->input_blobs()[0];
  const Blob<double>& xd = *plain->input_blobs()[0];
  EXPECT_LT(RelativeError(x.cpu_diff(), xd.cpu_diff(), x.count()), 2e-5);
  const Blob<float>& y = *fused->blob_by_name("y");
  EXPECT_LT(RelativeError(y.cpu_data(), plain->blob_by_name("y")->cpu_data(), y.count()), 1e-5);
  ASSERT_EQ(fused->params().size(), plain->params().size());
  for (size_t i = 0; i < fused->params().size(); ++i) {
    const Blob<float>& param = *fused->params()[i];
    EXPECT_LT(RelativeError(param.cpu_data(), plain->params()[i]->cpu_data(), param.count()), 1e-5)
        << i;
    EXPECT_LT(RelativeError(param.cpu_diff(), plain->params()[i]->cpu_diff(), param.count()), 1e-4)
        << i;
  }
}

void ExpectFusedAsLayerByLayer(const string& middle, Phase phase = TRAIN) {
  SCOPED_TRACE(middle);
  Caffe::set_random_seed(4);
  Net<float> fused(Around(middle, phase));
  Net<double> plain(Around(middle, phase));
  NetParameter weights;
  fused.ToProto(&weights);
  plain.CopyTrainedLayersFrom(weights);
  Fill(&fused);
  Fill(&plain);
  ExpectEqualPasses(&fused, &plain);
}

const char kScale[] = R"(layer { name: "scale" type: "Scale" bottom: "y" top: "y"
    scale_param { bias_term: true filler { type: "uniform" min: -1 max: 2 }
                  bias_filler { type: "gaussian" } } })";
const char kRelu[] = R"(layer { name: "relu" type: "ReLU" bottom: "y" top: "y" })";
const char kLeakyRelu[] =
    R"(layer { name: "relu" type: "ReLU" bottom: "y" top: "y" relu_param { negative_slope: 0.2 } })";

TEST(NetFusion, BatchNormScaleRelu) {
  const string bn = R"(layer { name: "bn" type: "BatchNorm" bottom: "c" top: "y" })";
  ExpectFusedAsLayerByLayer(bn + kScale + kRelu);
  ExpectFusedAsLayerByLayer(bn + kScale + kLeakyRelu);
  ExpectFusedAsLayerByLayer(bn + kScale);
  ExpectFusedAsLayerByLayer(bn + kRelu);
}

TEST(NetFusion, BatchNormByGivenStatistics) {
  // In TEST the statistics are those of the training pass that the first net ran.
  const string bn = R"(layer { name: "bn" type: "BatchNorm" bottom: "c" top: "y" })";
  Caffe::set_random_seed(4);
  Net<float> trained(Around(bn + kScale + kRelu, TRAIN));
  Fill(&trained);
  trained.Forward();
  NetParameter weights;
  trained.ToProto(&weights);
  Net<float> fused(Around(bn + kScale + kRelu, TEST));
  Net<double> plain(Around(bn + kScale + kRelu, TEST));
  fused.CopyTrainedLayersFrom(weights);
  plain.CopyTrainedLayersFrom(weights);
  Fill(&fused);
  Fill(&plain);
  ExpectEqualPasses(&fused, &plain);
}

TEST(NetFusion, BatchNormInPlace) {
  const string copy = R"(layer { name: "copy" type: "Power" bottom: "c" top: "y" }
                         layer { name: "bn" type: "BatchNorm" bottom: "y" top: "y" })";
  ExpectFusedAsLayerByLayer(copy + kScale + kRelu);
}

TEST(NetFusion, FrozenAndPartlyFrozenScale) {
  const string bn = R"(layer { name: "bn" type: "BatchNorm" bottom: "c" top: "y" })";
  for (const char* multipliers :
       {"param { lr_mult: 0 } param { lr_mult: 0 }", "param { lr_mult: 1 } param { lr_mult: 0 }",
        "param { lr_mult: 0 } param { lr_mult: 1 }"}) {
    string scale = kScale;
    scale.insert(scale.find("scale_param"), multipliers);
    ExpectFusedAsLayerByLayer(bn + scale + kRelu);
  }
}

TEST(NetFusion, ScaleThatBatchNormCannotTake) {
  // One factor for everything, and factors that come from a bottom.
  ExpectFusedAsLayerByLayer(R"(
      layer { name: "bn" type: "BatchNorm" bottom: "c" top: "y" }
      layer { name: "scale" type: "Scale" bottom: "y" top: "y" scale_param { num_axes: 0 } })" +
                            string(kRelu));
  ExpectFusedAsLayerByLayer(R"(
      layer { name: "bn" type: "BatchNorm" bottom: "c" top: "y" }
      layer { name: "scale" type: "Scale" bottom: "y" bottom: "x" top: "y" scale_param { axis: 0 } })" +
                            string(kRelu));
}

TEST(NetFusion, EltwiseReluAndSharedGradients) {
  const string sum = R"(layer { name: "sum" type: "Eltwise" bottom: "c" bottom: "x" top: "y" })";
  ExpectFusedAsLayerByLayer(sum);
  ExpectFusedAsLayerByLayer(sum + kRelu);
  ExpectFusedAsLayerByLayer(sum + kLeakyRelu);
  const string weighted = R"(layer { name: "sum" type: "Eltwise" bottom: "c" bottom: "x" bottom: "c"
                                     top: "y" eltwise_param { coeff: 2 coeff: -1 coeff: 2 } })";
  ExpectFusedAsLayerByLayer(weighted);
  ExpectFusedAsLayerByLayer(weighted + kRelu);
}

// What works in place on a bottom of the sum writes to its gradient: that must not be the other's.
TEST(NetFusion, GradientThatIsWrittenToIsNotShared) {
  ExpectFusedAsLayerByLayer(R"(
      layer { name: "act" type: "Sigmoid" bottom: "c" top: "c" }
      layer { name: "sum" type: "Eltwise" bottom: "c" bottom: "x" top: "y" })");
}

TEST(NetFusion, LossOnTheTopKeepsLayersApart) {
  string bn = R"(layer { name: "bn" type: "BatchNorm" bottom: "c" top: "y" loss_weight: 0.5 })";
  ExpectFusedAsLayerByLayer(bn);
}

}  // namespace
}  // namespace testing
}  // namespace caffe

// Layers that one layer computes (Layer::Absorb) in GPU mode, in float, against the same layers
// with a top each, which stay apart, and against those in double on the CPU.
#include <gtest/gtest.h>

#include "caffe/net.hpp"
#include "testing/gpu_util.hpp"

namespace caffe {
namespace testing {
namespace {

class NetFusionGpu : public GpuTest {};

/// x -> c -> BatchNorm -> Scale -> ReLU, or x and c -> Eltwise -> ReLU -> y -> loss.
struct Unit {
  vector<int> shape = {4, 6, 8, 8};
  Phase phase = TRAIN;
  bool in_place = false;  // BatchNorm
  string first = "BatchNorm";
  string first_settings;
  string scale;  // its settings; empty: there is none
  string relu = "negative_slope: 0";
  bool force_backward = true;

  /// `apart`: no layer works in place, except for BatchNorm.
  NetParameter Net(bool apart) const {
    string input = "input_param { shape {";
    for (int extent : shape) input += " dim: " + std::to_string(extent);
    input += " } } }";
    string text = "layer { name: 'x' type: 'Input' top: 'x' " + input +
                  "layer { name: 't' type: 'Input' top: 't' " + input;
    string last = "x";
    const auto add = [&](const string& type, const string& settings, const string& top) {
      text += "layer { name: '" + type + "' type: '" + type + "' bottom: '" + last + "' top: '" +
              top + "' " + settings + " }";
      last = top;
    };
    const string before = !in_place ? "c" : apart ? "y0" : "y";
    if (force_backward || in_place) add("Power", "power_param { scale: 1.5 }", before);
    add(first, first_settings, in_place ? before : apart ? "y1" : "y");
    if (!scale.empty()) add("Scale", scale, apart ? "y2" : "y");
    if (!relu.empty()) {
      add("ReLU", "relu_param { " + relu + " }", "y");
    } else if (apart) {
      text += "layer { name: 'copy' type: 'Power' bottom: '" + last + "' top: 'y' }";
    }
    text += "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'y' bottom: 't' top: 'loss' }";
    NetParameter net = NetFromText(text);
    net.set_force_backward(force_backward);
    net.mutable_state()->set_phase(phase);
    return net;
  }
};

/// What a net computed in two passes of training, of which the second finds the first one's
/// statistics: y, the gradient of x, the parameters and their gradients.
template <typename Dtype>
LayerOutcome<Dtype> RunTwice(Net<Dtype>* net) {
  LayerOutcome<Dtype> outcome;
  for (int pass = 0; pass < 2; ++pass) {
    for (int i = 0; i < 2; ++i) {
      FillGaussian<Dtype>(net->input_blobs()[i], 2 * pass + i + 1, Dtype(0.3), Dtype(1.5));
    }
    // They are added to.
    for (const auto& param : net->params()) {
      caffe_set(param->count(), Dtype(0.25), param->mutable_cpu_diff());
    }
    net->ForwardBackward();
    const auto keep = [&](const string& name, const Dtype* values, int count) {
      KeepValues(name, values, count, &outcome);
    };
    const Blob<Dtype>& x = *net->input_blobs()[0];
    const Blob<Dtype>& y = *net->blob_by_name("y");
    keep("y", y.cpu_data(), y.count());
    keep("gradient of x", x.cpu_diff(), x.count());
    for (const auto& param : net->params()) {
      keep("parameter", param->cpu_data(), param->count());
      keep("gradient of a parameter", param->cpu_diff(), param->count());
    }
  }
  return outcome;
}

template <typename A, typename B>
void ExpectNear(const LayerOutcome<A>& a, const LayerOutcome<B>& b, const char* what) {
  ASSERT_EQ(a.names, b.names);
  for (size_t i = 0; i < a.values.size(); ++i) {
    ASSERT_EQ(a.values[i].size(), b.values[i].size());
    EXPECT_LT(
        RelativeError(a.values[i].data(), b.values[i].data(), static_cast<int>(a.values[i].size())),
        2e-5)
        << a.names[i] << " (" << i << "), " << what;
  }
}

/// Parameters that a net has before its first pass.
template <typename Dtype>
void SetParams(Net<Dtype>* net) {
  for (size_t i = 0; i < net->params().size(); ++i) {
    Blob<Dtype>* param = net->params()[i].get();
    Dtype* values = param->mutable_cpu_data();
    // Positive, as variances are, or a gamma of either sign.
    const bool any_sign = i >= 3;
    for (int j = 0; j < param->count(); ++j) {
      values[j] = static_cast<float>(any_sign && j % 3 == 1 ? -0.4 - 0.1 * i : 0.3 + 0.2 * j);
    }
  }
}

void ExpectFusedAsApart(const Unit& unit) {
  SCOPED_TRACE(unit.Net(false).ShortDebugString());
  Net<double> exact(unit.Net(true));
  SetParams(&exact);
  const auto expected = RunTwice(&exact);
  const GpuMode mode;
  Net<float> fused(unit.Net(false)), apart(unit.Net(true));
  SetParams(&fused);
  SetParams(&apart);
  const auto together = RunTwice(&fused);
  ExpectNear(together, RunTwice(&apart), "from that layer by layer");
  ExpectNear(together, expected, "from the CPU's in double");
  // A layer takes one ReLU, and has it.
  if (!unit.relu.empty()) {
    EXPECT_FALSE(fused.layer_by_name(unit.first)->Absorb(fused.layer_by_name("ReLU").get()));
  }
  // Nothing is computed on the CPU.
  fused.ForwardBackward();
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, fused.blob_by_name("y")->data()->head());
  if (unit.force_backward) {
    EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, fused.input_blobs()[0]->diff()->head());
  }
  for (const auto& param : fused.params()) {
    EXPECT_NE(SyncedMemory::HEAD_AT_CPU, param->data()->head());
  }
}

const char kWithBias[] = "scale_param { bias_term: true }";
const char kWithoutBias[] = "scale_param { bias_term: false }";

TEST_F(NetFusionGpu, BatchNormScaleRelu) {
  // Rows of fours and not, several parts of a channel, one value in a row.
  for (const vector<int>& shape :
       vector<vector<int>>{{4, 6, 8, 8}, {4, 7, 5, 3}, {40, 3, 20, 20}, {40, 3, 15, 15}, {30, 5}}) {
    for (const Phase phase : {TRAIN, TEST}) {
      for (const bool in_place : {false, true}) {
        Unit unit;
        unit.shape = shape;
        unit.phase = phase;
        unit.in_place = in_place;
        unit.scale = kWithBias;
        ExpectFusedAsApart(unit);
      }
    }
  }
}

TEST_F(NetFusionGpu, WhatBatchNormTakes) {
  for (const char* scale : {"", kWithBias, kWithoutBias}) {
    for (const char* relu : {"", "negative_slope: 0", "negative_slope: 0.2"}) {
      for (const bool in_place : {false, true}) {
        Unit unit;
        unit.scale = scale;
        unit.relu = relu;
        unit.in_place = in_place;
        ExpectFusedAsApart(unit);
        unit.first_settings = "batch_norm_param { use_global_stats: true eps: 0.01 }";
        ExpectFusedAsApart(unit);
      }
    }
  }
}

TEST_F(NetFusionGpu, FrozenAndPartlyFrozenScale) {
  for (const char* multipliers :
       {"param { lr_mult: 0 } param { lr_mult: 0 }", "param { lr_mult: 1 } param { lr_mult: 0 }",
        "param { lr_mult: 0 } param { lr_mult: 1 }"}) {
    // Without a gradient for BatchNorm's bottom the parameters' are still wanted. Forced, all are.
    for (const bool force_backward : {false, true}) {
      for (const char* settings : {"", "batch_norm_param { use_global_stats: true }"}) {
        Unit unit;
        unit.shape = {20, 3, 10, 10};
        unit.first_settings = settings;
        unit.scale = multipliers + string(kWithBias);
        unit.force_backward = force_backward;
        ExpectFusedAsApart(unit);
      }
    }
  }
}

TEST_F(NetFusionGpu, EltwiseRelu) {
  for (const vector<int>& shape : vector<vector<int>>{{4, 6, 8, 8}, {3, 7, 5, 3}}) {
    for (const char* relu : {"negative_slope: 0", "negative_slope: 0.2"}) {
      for (const char* settings :
           {"bottom: 'x'", "bottom: 'x' eltwise_param { coeff: 2 coeff: -1 }",
            "bottom: 'x' bottom: 'x' eltwise_param { coeff: 0.5 coeff: -1 coeff: 0.5 }"}) {
        Unit unit;
        unit.shape = shape;
        unit.first = "Eltwise";
        unit.first_settings = settings;
        unit.relu = relu;
        ExpectFusedAsApart(unit);
      }
    }
  }
}

TEST_F(NetFusionGpu, BuiltInOneModeAndRunInTheOther) {
  Unit bn, sum;
  bn.scale = kWithBias;
  sum.first = "Eltwise";
  sum.first_settings = "bottom: 'x'";
  for (const Unit& unit : {bn, sum}) {
    Net<double> exact(unit.Net(true));
    SetParams(&exact);
    const auto expected = RunTwice(&exact);
    for (const auto built : {Caffe::CPU, Caffe::GPU}) {
      Caffe::set_mode(built);
      Net<float> net(unit.Net(false));
      SetParams(&net);
      Caffe::set_mode(built == Caffe::CPU ? Caffe::GPU : Caffe::CPU);
      const auto values = RunTwice(&net);
      Caffe::set_mode(Caffe::CPU);
      ExpectNear(values, expected, built == Caffe::CPU ? "built in CPU mode" : "built in GPU mode");
    }
  }
}

}  // namespace
}  // namespace testing
}  // namespace caffe

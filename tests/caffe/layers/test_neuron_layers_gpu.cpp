#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

// caffe/layers/neuron_layers.cu: the layers that are one formula per element.
class NeuronLayersGpu : public testing::GpuTest {};

struct Case {
  std::string layer;
  bool in_place;    // may work so
  double mean = 0;  // of x, whose deviation is 1
};

const std::vector<Case> kCases = {
    {"type: 'Sigmoid'", true},
    {"type: 'TanH'", true},
    {"type: 'ELU'", true},
    {"type: 'ELU' elu_param { alpha: 0.5 }", true},
    {"type: 'Swish'", true},
    {"type: 'Swish' swish_param { beta: 1.5 }", true},
    {"type: 'Power'", true},
    {"type: 'Power' power_param { scale: -2 }", true},
    {"type: 'Power' power_param { scale: 2 shift: 1 }", true},
    {"type: 'Power' power_param { scale: 0 shift: 3 }", true},
    {"type: 'Power' power_param { scale: 0 }", true},
    {"type: 'Power' power_param { power: 2 scale: 3 shift: 1 }", false},
    {"type: 'Power' power_param { power: 2 }", false},
    {"type: 'Power' power_param { power: -0.5 scale: 0.25 shift: 3 }", false},
    {"type: 'Power' power_param { power: 0 }", false},
    {"type: 'Power' power_param { power: 2 scale: 0 shift: 3 }", false},
    {"type: 'Exp'", true},
    {"type: 'Exp' exp_param { base: 2 scale: 0.5 shift: 1 }", true},
    {"type: 'Log'", false, 10},
    {"type: 'Log' log_param { base: 2 scale: 0.5 shift: 4 }", false},
    {"type: 'AbsVal'", false},
    {"type: 'BNLL'", true},
    {"type: 'Clip' clip_param { min: -0.5 max: 1 }", true},
    {"type: 'Clip' clip_param { min: 0.25 max: 0.75 }", true}};

TEST_F(NeuronLayersGpu, EqualTheCpu) {
  for (const Case& one : kCases) {
    for (bool in_place : {false, true}) {
      if (in_place && !one.in_place) continue;
      testing::GpuComparison comparison;
      comparison.layer = "name: 'n' " + one.layer;
      comparison.shapes = {{3, 4, 5, 7}};
      comparison.in_place = in_place;
      comparison.fill = [&one](const std::vector<Blob<double>*>& bottoms) {
        double* x = bottoms[0]->mutable_cpu_data();
        for (int i = 0; i < bottoms[0]->count(); ++i) x[i] += one.mean;
        // Where the formulas have their bends.
        if (one.mean == 0) x[0] = 0, x[1] = -0.5, x[2] = 1;
      };
      comparison.Expect();
    }
  }
}

TEST_F(NeuronLayersGpu, Threshold) {
  for (const char* settings : {"", "threshold_param { threshold: 0.5 }"}) {
    for (bool in_place : {false, true}) {
      testing::GpuComparison comparison;
      comparison.layer = std::string("name: 'n' type: 'Threshold' ") + settings;
      comparison.shapes = {{3, 4, 5, 7}};
      comparison.in_place = in_place;
      comparison.propagate_down = {false};
      comparison.Expect();
    }
  }
  const testing::GpuMode mode;
  Blob<float> x(std::vector<int>{3});
  testing::FillValues(&x, {-1.f, 0.f, 1.f});
  testing::LayerRun<float> run(testing::LayerFromText("type: 'Threshold'"), {&x});
  run.Forward();
  EXPECT_EQ(0, run.top[0]->cpu_data()[1]);
  EXPECT_EQ(1, run.top[0]->cpu_data()[2]);
  EXPECT_ERROR(run.Backward(), "Threshold has no gradient");
}

// Nothing overflows on the way where the result does not.
TEST_F(NeuronLayersGpu, LargeInputs) {
  for (const char* type : {"Sigmoid", "TanH", "ELU", "Swish", "BNLL"}) {
    testing::GpuComparison comparison;
    comparison.layer = std::string("name: 'n' type: '") + type + "'";
    comparison.shapes = {{60}};
    comparison.fill = [](const std::vector<Blob<double>*>& bottoms) {
      double* x = bottoms[0]->mutable_cpu_data();
      for (int i = 0; i < bottoms[0]->count(); ++i) x[i] *= 1000;
    };
    comparison.Expect();
  }
}

TEST_F(NeuronLayersGpu, InFloat) {
  for (const Case& one : kCases) {
    testing::ExpectFloatAgrees("name: 'n' " + one.layer, {{3, 4, 5, 7}}, one.mean);
  }
}

TEST_F(NeuronLayersGpu, StayOnTheDevice) {
  for (const Case& one : kCases) {
    for (bool in_place : {false, true}) {
      if (in_place && !one.in_place) continue;
      testing::ExpectStaysOnGpu("name: 'n' " + one.layer, {{3, 4, 5, 7}}, 1, in_place);
    }
  }
}

TEST_F(NeuronLayersGpu, PowersAreNotComputedInPlace) {
  const testing::GpuMode mode;
  Blob<float> x(std::vector<int>{3});
  testing::LayerRun<float> run(testing::LayerFromText("type: 'Power' power_param { power: 2 }"),
                               {&x});
  run.top[0] = &x;
  EXPECT_ERROR(run.Forward(), "power 2 cannot be computed in place");
}

}  // namespace
}  // namespace caffe

#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class InformationDropoutLayerGpu : public testing::GpuTest {};

std::string Dropout(const std::string& settings, const std::string& more = "") {
  return "name: 'i' type: 'InformationDropout' information_dropout_param { " + settings + " } " +
         more;
}

// Planes of one number, of whole and of broken groups of four, and more than one block sums up.
const std::vector<std::vector<int>> kShapes = {
    {3, 4, 5, 7}, {2, 19, 2, 2}, {5, 3}, {2, 3, 3}, {2, 3, 40, 41}};

// Activations of a ReLU.
template <typename Dtype>
void Fill(const std::vector<Blob<Dtype>*>& bottoms) {
  Dtype* x = bottoms[0]->mutable_cpu_data();
  for (int i = 0; i < bottoms[0]->count(); ++i) x[i] = std::max(x[i], Dtype(0));
}

void ExpectEqual(const std::string& layer, double tolerance) {
  for (const auto& shape : kShapes) {
    for (const int tops : {1, 2}) {
      for (const auto& propagate_down :
           std::vector<std::vector<bool>>{{true, true}, {true, false}, {false, true}}) {
        testing::GpuComparison comparison;
        comparison.layer = layer;
        comparison.shapes = {shape, shape};
        comparison.tops = tops;
        comparison.fill = Fill<double>;
        comparison.propagate_down = propagate_down;
        comparison.tolerance = tolerance;
        comparison.Expect();
      }
    }
  }
}

// The noise is of float precision, and a GPU's logarithm and cosine may end in another bit.
TEST_F(InformationDropoutLayerGpu, EqualsTheCpu) {
  ExpectEqual(Dropout(""), 1e-5);
  ExpectEqual(Dropout("max_alpha: 0.2"), 1e-5);
}

TEST_F(InformationDropoutLayerGpu, EqualsTheCpuInTest) {
  ExpectEqual(Dropout("", "phase: TEST"), 1e-9);
  ExpectEqual(Dropout("test_mean: true", "phase: TEST"), 1e-9);
}

TEST_F(InformationDropoutLayerGpu, EqualsTheCpuInFloat) {
  for (const auto& shape : kShapes) {
    testing::ExpectFloatEqualsTheCpu(Dropout(""), {shape, shape}, 1e-4, Fill<float>);
    testing::ExpectFloatEqualsTheCpu(Dropout("test_mean: true", "phase: TEST"), {shape, shape},
                                     1e-4, Fill<float>);
  }
}

TEST_F(InformationDropoutLayerGpu, StaysOnTheDevice) {
  for (const int tops : {1, 2}) {
    testing::ExpectStaysOnGpu(Dropout(""), {{3, 4, 5, 7}, {3, 4, 5, 7}}, tops);
    testing::ExpectStaysOnGpu(Dropout("", "phase: TEST"), {{3, 4, 5, 7}, {3, 4, 5, 7}}, tops);
  }
}

}  // namespace
}  // namespace caffe

#include <gtest/gtest.h>

#include "testing/neuron_layer_test.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(ThresholdLayer, IsAStep) {
  Blob<double> x(1, 1, 1, 4), dy(1, 1, 1, 4);
  FillValues(&x, {-1., 0.5, 0.75, 2.});
  const LayerParameter param =
      LayerFromText("type: 'Threshold' threshold_param { threshold: 0.5 }");
  EXPECT_EQ((std::vector<double>{0, 0, 1, 1}), RunNeuron(param, x, dy, false, 1, false).y);
  EXPECT_ERROR(RunNeuron(param, x, dy), "no gradient");
}

}  // namespace
}  // namespace caffe

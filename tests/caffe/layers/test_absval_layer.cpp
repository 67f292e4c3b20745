#include <gtest/gtest.h>

#include "testing/neuron_layer_test.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(AbsValLayer, MatchesFormula) {
  CheckNeuron(
      "type: 'AbsVal'", [](double x) { return std::fabs(x); }, Layout::PLAIN, false);
}

TEST(AbsValLayer, NotInPlace) {
  Blob<float> x(1, 1, 1, 1), dy(1, 1, 1, 1);
  EXPECT_ERROR(RunNeuron(LayerFromText("type: 'AbsVal'"), x, dy, true), "in place");
}

}  // namespace
}  // namespace caffe

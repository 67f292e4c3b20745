#include <gtest/gtest.h>

#include "testing/blob_util.hpp"
#include "testing/gradient_checker.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

TEST(LossLayer, WeighsOneUnlessTold) {
  Blob<double> x(1, 2, 1, 1), t(1, 2, 1, 1), labels(1, 1, 1, 1);
  FillValues(&x, {1., 3.});
  FillValues(&t, {0., 0.});
  LayerRun<double> plain(LayerFromText("type: 'EuclideanLoss'"), {&x, &t});
  EXPECT_EQ(1, plain.layer->loss(0));
  EXPECT_DOUBLE_EQ(5, plain.Forward());
  EXPECT_EQ(0, plain.top[0]->num_axes());
  LayerRun<double> off(LayerFromText("type: 'EuclideanLoss' loss_weight: 0"), {&x, &t});
  EXPECT_DOUBLE_EQ(0, off.Forward());
  EXPECT_DOUBLE_EQ(5, off.top[0]->cpu_data()[0]);
  // Both sides of a difference may have a gradient, labels never.
  EXPECT_TRUE(plain.layer->AllowForceBackward(1));
  LayerRun<double> labelled(LayerFromText("type: 'SoftmaxWithLoss'"), {&x, &labels});
  EXPECT_TRUE(labelled.layer->AllowForceBackward(0));
  EXPECT_FALSE(labelled.layer->AllowForceBackward(1));
  EXPECT_TRUE(plain.layer->AutoTopBlobs());
}

}  // namespace
}  // namespace caffe

#include "caffe/util/check_param.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "caffe/proto/caffe.pb.h"
#include "util/error.hpp"

namespace caffe {
namespace {

std::string Complaint(const google::protobuf::Message& param) {
  try {
    CheckParam(param);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(CheckParam, UnsignedNumbersBeyondInt) {
  LayerParameter layer;
  layer.mutable_convolution_param()->add_pad(2147483647u);
  EXPECT_EQ(Complaint(layer), "");
  layer.mutable_convolution_param()->add_pad(4294967295u);
  EXPECT_EQ(Complaint(layer), "pad is 4294967295; it must not exceed 2147483647");
  LayerParameter data;
  data.mutable_data_param()->set_batch_size(4000000000u);
  EXPECT_EQ(Complaint(data), "batch_size is 4000000000; it must not exceed 2147483647");
}

TEST(CheckParam, NumbersThatAreNone) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  SolverParameter solver;
  solver.set_base_lr(std::numeric_limits<float>::infinity());
  EXPECT_EQ(Complaint(solver), "");
  solver.set_clip_gradients(nan);
  EXPECT_EQ(Complaint(solver), "clip_gradients is not a number");
  LayerParameter layer;
  layer.mutable_transform_param()->add_mean_value(1);
  layer.mutable_transform_param()->add_mean_value(nan);
  EXPECT_EQ(Complaint(layer), "mean_value is not a number");
}

TEST(CheckParam, BlobsAndNetsAreNotLookedAt) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  LayerParameter layer;
  layer.add_blobs()->add_data(nan);
  EXPECT_EQ(Complaint(layer), "");
  SolverParameter solver;
  solver.mutable_net_param()->add_layer()->add_loss_weight(nan);
  EXPECT_EQ(Complaint(solver), "");
}

}  // namespace
}  // namespace caffe

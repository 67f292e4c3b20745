#include "caffe/util/insert_splits.hpp"

#include "testing/blob_util.hpp"

namespace caffe {
namespace testing {
namespace {

const char kData[] = R"(name: "n" force_backward: true
    layer { name: "data" type: "Data" top: "x" top: "label" })";

NetParameter Split(const string& text) {
  NetParameter result;
  InsertSplits(NetFromText(text), &result);
  return result;
}

/// `text` becomes `expected`, field by field.
void ExpectSplits(const string& text, const string& expected) {
  EXPECT_EQ(Split(text).DebugString(), NetFromText(expected).DebugString());
}

TEST(InsertSplits, Names) {
  EXPECT_EQ(SplitLayerName("conv1", "feature", 2), "feature_conv1_2_split");
  EXPECT_EQ(SplitBlobName("conv1", "feature", 2, 13), "feature_conv1_2_split_13");
}

TEST(InsertSplits, OneReaderNeedsNone) {
  const string net = string(kData) + R"(
      layer { name: "fc" type: "InnerProduct" bottom: "x" top: "y" }
      layer { name: "act" type: "ReLU" bottom: "y" top: "y" }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "label" top: "loss"
              loss_weight: 2 })";
  ExpectSplits(net, net);
}

TEST(InsertSplits, ACopyPerReader) {
  ExpectSplits(string(kData) + R"(
      layer { name: "fc1" type: "InnerProduct" bottom: "x" top: "y1" }
      layer { name: "fc2" type: "InnerProduct" bottom: "x" top: "y2" }
      layer { name: "sum" type: "Eltwise" bottom: "y1" bottom: "y2" bottom: "x" top: "z" })",
               string(kData) + R"(
      layer { name: "x_data_0_split" type: "Split" bottom: "x" top: "x_data_0_split_0"
              top: "x_data_0_split_1" top: "x_data_0_split_2" }
      layer { name: "fc1" type: "InnerProduct" bottom: "x_data_0_split_0" top: "y1" }
      layer { name: "fc2" type: "InnerProduct" bottom: "x_data_0_split_1" top: "y2" }
      layer { name: "sum" type: "Eltwise" bottom: "y1" bottom: "y2" bottom: "x_data_0_split_2"
              top: "z" })");
}

TEST(InsertSplits, SecondTop) {
  ExpectSplits(string(kData) + R"(
      layer { name: "a" type: "Silence" bottom: "label" }
      layer { name: "b" type: "Silence" bottom: "label" bottom: "x" })",
               string(kData) + R"(
      layer { name: "label_data_1_split" type: "Split" bottom: "label"
              top: "label_data_1_split_0" top: "label_data_1_split_1" }
      layer { name: "a" type: "Silence" bottom: "label_data_1_split_0" }
      layer { name: "b" type: "Silence" bottom: "label_data_1_split_1" bottom: "x" })");
}

TEST(InsertSplits, OneLayerReadsItTwice) {
  ExpectSplits(
      string(kData) + "layer { name: 's' type: 'Eltwise' bottom: 'x' bottom: 'x' top: 'y'}",
      string(kData) + R"(
      layer { name: "x_data_0_split" type: "Split" bottom: "x"
              top: "x_data_0_split_0" top: "x_data_0_split_1" }
      layer { name: "s" type: "Eltwise" bottom: "x_data_0_split_0" bottom: "x_data_0_split_1"
              top: "y" })");
}

// The split comes after the in-place layer, whose result is what is read, and has its name.
TEST(InsertSplits, AfterInPlaceLayers) {
  ExpectSplits(string(kData) + R"(
      layer { name: "fc" type: "InnerProduct" bottom: "x" top: "y" }
      layer { name: "act" type: "ReLU" bottom: "y" top: "y" }
      layer { name: "a" type: "Silence" bottom: "y" }
      layer { name: "b" type: "Silence" bottom: "y" })",
               string(kData) + R"(
      layer { name: "fc" type: "InnerProduct" bottom: "x" top: "y" }
      layer { name: "act" type: "ReLU" bottom: "y" top: "y" }
      layer { name: "y_act_0_split" type: "Split" bottom: "y"
              top: "y_act_0_split_0" top: "y_act_0_split_1" }
      layer { name: "a" type: "Silence" bottom: "y_act_0_split_0" }
      layer { name: "b" type: "Silence" bottom: "y_act_0_split_1" })");
}

// A reader between two in-place layers sees the value in between.
TEST(InsertSplits, BetweenInPlaceLayers) {
  const NetParameter net = Split(string(kData) + R"(
      layer { name: "before" type: "ReLU" bottom: "x" top: "x" }
      layer { name: "reader" type: "Silence" bottom: "x" }
      layer { name: "after" type: "TanH" bottom: "x" top: "x" }
      layer { name: "last" type: "Silence" bottom: "x" })");
  ASSERT_EQ(net.layer_size(), 6);
  EXPECT_EQ(net.layer(2).name(), "x_before_0_split");
  EXPECT_EQ(net.layer(3).bottom(0), "x_before_0_split_0");
  EXPECT_EQ(net.layer(4).bottom(0), "x_before_0_split_1");
  EXPECT_EQ(net.layer(4).top(0), "x");
  EXPECT_EQ(net.layer(5).bottom(0), "x");
}

// The loss is a reader, and takes the first copy.
TEST(InsertSplits, LossWeightIsAReader) {
  ExpectSplits(string(kData) + R"(
      layer { name: "two" type: "Slice" bottom: "x" top: "y" top: "z"
              loss_weight: 0.5 loss_weight: 3 }
      layer { name: "a" type: "Silence" bottom: "z" })",
               string(kData) + R"(
      layer { name: "two" type: "Slice" bottom: "x" top: "y" top: "z"
              loss_weight: 0.5 loss_weight: 0 }
      layer { name: "z_two_1_split" type: "Split" bottom: "z" top: "z_two_1_split_0"
              top: "z_two_1_split_1" loss_weight: 3 loss_weight: 0 }
      layer { name: "a" type: "Silence" bottom: "z_two_1_split_1" })");
}

TEST(InsertSplits, LossWeightZeroIsNone) {
  const string net = string(kData) + R"(
      layer { name: "loss" type: "EuclideanLoss" bottom: "x" bottom: "label" top: "l"
              loss_weight: 0 }
      layer { name: "a" type: "Silence" bottom: "l" })";
  ExpectSplits(net, net);
}

// A stored net has its splits already.
TEST(InsertSplits, Again) {
  const NetParameter once = Split(string(kData) + R"(
      layer { name: "a" type: "Silence" bottom: "x" }
      layer { name: "b" type: "Silence" bottom: "x" })");
  NetParameter twice;
  InsertSplits(once, &twice);
  EXPECT_EQ(once.layer_size(), 4);
  EXPECT_EQ(once.DebugString(), twice.DebugString());
}

TEST(InsertSplits, UnknownBottom) {
  EXPECT_ERROR(Split(string(kData) + "layer { name: 'q' type: 'Silence' bottom: 'lable' }"),
               "layer 'q' (Silence): bottom 'lable' is not the top of an earlier layer (did you "
               "mean 'label'?)");
  // Later layers do not count.
  EXPECT_ERROR(Split("layer { name: 'q' type: 'Silence' bottom: 'x' }" + string(kData)),
               "layer 'q' (Silence): bottom 'x' is not the top of an earlier layer");
}

}  // namespace
}  // namespace testing
}  // namespace caffe

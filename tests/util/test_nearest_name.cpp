#include "util/nearest_name.hpp"

#include <gtest/gtest.h>

namespace caffe {
namespace {

const std::vector<std::string> kKnown = {"Convolution", "Pooling", "ReLU", "PReLU", "Scale"};

TEST(NearestName, FindsTheLeastDistance) {
  EXPECT_EQ("Convolution", NearestName("Convolutoin", kKnown));
  EXPECT_EQ("Pooling", NearestName("pool ing", kKnown));
  EXPECT_EQ("ReLU", NearestName("RELU", kKnown));
  EXPECT_EQ("PReLU", NearestName("PRelu", kKnown));
  EXPECT_EQ("Scale", NearestName("Scales", kKnown));
}

TEST(NearestName, EmptyWhenNothingIsNear) {
  EXPECT_EQ("", NearestName("Quux", kKnown));
  EXPECT_EQ("", NearestName("", kKnown));
  EXPECT_EQ("", NearestName("ReLU", {}));
}

TEST(NearestName, Suggestion) {
  EXPECT_EQ(" (did you mean 'ReLU'?)", DidYouMean("Relu", kKnown));
  EXPECT_EQ("", DidYouMean("Quux", kKnown));
}

}  // namespace
}  // namespace caffe

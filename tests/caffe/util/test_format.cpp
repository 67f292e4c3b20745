#include "caffe/util/format.hpp"

#include <gtest/gtest.h>

namespace caffe {
namespace {

TEST(FormatTest, FillsWithZeros) {
  EXPECT_EQ(format_int(7, 3), "007");
  EXPECT_EQ(format_int(0, 8), "00000000");
  EXPECT_EQ(format_int(1234, 3), "1234");
  EXPECT_EQ(format_int(12), "12");
}

}  // namespace
}  // namespace caffe

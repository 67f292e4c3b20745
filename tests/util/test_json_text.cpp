#include <gtest/gtest.h>

#include "util/json_text.hpp"

namespace caffe {
namespace {

TEST(JsonText, WhatHasAMeaningIsEscaped) {
  EXPECT_EQ("\"\"", JsonQuoted(""));
  EXPECT_EQ("\"conv1/bn\"", JsonQuoted("conv1/bn"));
  EXPECT_EQ("\"a\\\"b\\\\c\"", JsonQuoted("a\"b\\c"));
  EXPECT_EQ("\"a\\u000ab\\u0009\\u0001\"", JsonQuoted("a\nb\t\x01"));
  EXPECT_EQ("\"\xC3\xA4\x7F\"", JsonQuoted("\xC3\xA4\x7F"));
}

}  // namespace
}  // namespace caffe

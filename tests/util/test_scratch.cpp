#include "util/scratch.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace caffe {
namespace testing {
namespace {

TEST(Scratch, GrowsAndStays) {
  Scratch scratch;
  float* small = scratch.Get(10);
  EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(small) % 64);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(0, small[i]);
  small[3] = 5;
  EXPECT_EQ(small, scratch.Get(10));
  EXPECT_EQ(small, scratch.Get(1));
  EXPECT_EQ(5, small[3]);
  float* large = scratch.Get(100000);
  EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(large) % 64);
  large[99999] = 1;
  EXPECT_EQ(large, scratch.Get(10));
}

TEST(Scratch, MemoryThatThereIsNotThrows) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer ends the program instead";
#endif
  Scratch scratch;
  EXPECT_THROW(scratch.Get(size_t{1} << 60), std::bad_alloc);
  EXPECT_NE(nullptr, scratch.Get(1));
}

}  // namespace
}  // namespace testing
}  // namespace caffe

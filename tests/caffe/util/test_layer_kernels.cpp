// What of caffe/util/layer_kernels.hpp can be tested without a device; the tests of the layers' GPU
// halves do the rest.
#include "caffe/util/layer_kernels.hpp"

#include <gtest/gtest.h>

namespace caffe {
namespace {

TEST(LayerKernels, DivisorEqualsDivision) {
  PhiloxEngine random(5);
  const auto expect = [](int64_t i, int divisor) {
    if (i < 0 || i > INT32_MAX) return;
    const int n = static_cast<int>(i);
    ASSERT_EQ(n / divisor, Divisor(divisor).Quotient(n)) << n << " / " << divisor;
    ASSERT_EQ(n % divisor, Divisor(divisor).Remainder(n)) << n << " / " << divisor;
  };
  for (int trial = 0; trial < 20000; ++trial) {
    const int small = trial + 1;
    const int any = static_cast<int>(random() >> (1 + trial % 31)) | 1;
    for (int divisor : {small, any, INT32_MAX - trial}) {
      const int64_t multiple = static_cast<int64_t>(random() >> 1) / divisor * divisor;
      for (int64_t i : {int64_t{0}, multiple - 1, multiple, multiple + 1, int64_t{random() >> 1},
                        int64_t{INT32_MAX}}) {
        expect(i, divisor);
      }
    }
  }
}

TEST(LayerKernels, ChannelIndex) {
  ChannelBlocks layout;
  layout.num = 3;
  layout.channels = 5;
  layout.spatial = 7;
  const ChannelIndex channel(layout);
  for (int i = 0; i < 105; ++i) EXPECT_EQ(i / 7 % 5, channel(i));
}

}  // namespace
}  // namespace caffe

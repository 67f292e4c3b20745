#include "util/channel_blocks.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace caffe {
namespace {

TEST(ChannelBlocks, CountsWithPadding) {
  const ChannelBlocks layout{16, 2, 17, 3};
  EXPECT_EQ(2, layout.groups());
  EXPECT_EQ(2u * 2 * 16 * 3, layout.count());
  EXPECT_FALSE(layout.IsPlain());
  EXPECT_TRUE((ChannelBlocks{1, 2, 17, 3}).IsPlain());
  EXPECT_TRUE((ChannelBlocks{16, 2, 32, 1}).IsPlain());
  EXPECT_FALSE((ChannelBlocks{16, 2, 33, 1}).IsPlain());
  EXPECT_TRUE(layout == layout);
  EXPECT_TRUE(layout != (ChannelBlocks{8, 2, 17, 3}));
}

TEST(ChannelBlocks, ReordersByTheFormula) {
  for (const int block : {1, 4, 8, 16}) {
    for (const int channels : {1, 7, 8, 16, 19}) {
      // More positions than one tile holds, and fewer.
      for (const int spatial : {1, 5, 200}) {
        const ChannelBlocks layout{block, 3, channels, spatial};
        const int count = 3 * channels * spatial;
        std::vector<float> plain(count), back(count, -1), blocked(layout.count(), -1);
        for (int i = 0; i < count; ++i) plain[i] = static_cast<float>(i + 1);
        PlainToBlocks(layout, plain.data(), blocked.data());
        for (int n = 0; n < 3; ++n) {
          for (int c = 0; c < layout.groups() * block; ++c) {
            for (int s = 0; s < spatial; ++s) {
              const size_t at =
                  ((size_t(n) * layout.groups() + c / block) * spatial + s) * block + c % block;
              const float expected = c < channels ? plain[(n * channels + c) * spatial + s] : 0;
              ASSERT_EQ(expected, blocked[at]) << block << " " << channels << " " << spatial;
            }
          }
        }
        BlocksToPlain(layout, blocked.data(), back.data());
        ASSERT_EQ(plain, back);
      }
    }
  }
}

TEST(ChannelBlocks, CountsReorders) {
  const ChannelBlocks layout{8, 1, 3, 2};
  std::vector<float> plain(6), blocked(layout.count());
  const uint64_t before = ReorderCount();
  PlainToBlocks(layout, plain.data(), blocked.data());
  BlocksToPlain(layout, blocked.data(), plain.data());
  EXPECT_EQ(before + 2, ReorderCount());
}

TEST(ChannelBlocks, NativeBlock) {
  EXPECT_TRUE(NativeChannelBlock() == 8 || NativeChannelBlock() == 16);
}

}  // namespace
}  // namespace caffe

#include "caffe/syncedmem.hpp"

#include <gtest/gtest.h>

namespace caffe {
namespace {

TEST(SyncedMemory, States) {
  SyncedMemory memory(12);
  EXPECT_EQ(12u, memory.size());
  EXPECT_EQ(SyncedMemory::UNINITIALIZED, memory.head());
  EXPECT_EQ(0u, memory.allocated());
  memory.cpu_data();
  EXPECT_EQ(SyncedMemory::HEAD_AT_CPU, memory.head());
  EXPECT_EQ(12u, memory.allocated());
}

TEST(SyncedMemory, FreshIsZeroAndAligned) {
  SyncedMemory memory(1000);
  const char* bytes = static_cast<const char*>(memory.cpu_data());
  EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(bytes) % 64);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(0, bytes[i]);
}

TEST(SyncedMemory, SizeZero) {
  SyncedMemory memory;
  EXPECT_EQ(0u, memory.size());
  EXPECT_NO_THROW(memory.mutable_cpu_data());
}

TEST(SyncedMemory, CallersMemoryIsNotFreed) {
  int values[] = {1, 2};
  {
    SyncedMemory memory(sizeof(values));
    memory.mutable_cpu_data();
    memory.set_cpu_data(values);
    EXPECT_EQ(values, memory.cpu_data());
    EXPECT_EQ(0u, memory.allocated());
  }
  EXPECT_EQ(2, values[1]);
}

TEST(SyncedMemory, KeepsCopiesEqual) {
  const ChannelBlocks layout{8, 1, 3, 2};
  SyncedMemory memory(6 * sizeof(float));
  float* plain = static_cast<float*>(memory.mutable_cpu_data());
  for (int i = 0; i < 6; ++i) plain[i] = static_cast<float>(i);
  EXPECT_EQ(1, memory.block());
  // Channel c of position s lies at s * 8 + c.
  const float* blocked = memory.cpu_blocked(layout);
  EXPECT_EQ(8, memory.block());
  EXPECT_EQ(3, blocked[1 * 8 + 1]);
  EXPECT_EQ(0, blocked[1 * 8 + 3]);
  // Reading leaves both valid; writing one makes the other stale.
  const uint64_t before = ReorderCount();
  memory.cpu_data();
  memory.cpu_blocked(layout);
  EXPECT_EQ(before, ReorderCount());
  memory.mutable_cpu_blocked(layout, true)[1 * 8 + 1] = 30;
  EXPECT_EQ(30, static_cast<const float*>(memory.cpu_data())[3]);
  static_cast<float*>(memory.mutable_cpu_data())[3] = 31;
  EXPECT_EQ(1, memory.block());
  EXPECT_EQ(31, memory.cpu_blocked(layout)[1 * 8 + 1]);
  // Another block size goes through the plain copy.
  const ChannelBlocks wide{16, 1, 3, 2};
  EXPECT_EQ(31, memory.cpu_blocked(wide)[1 * 16 + 1]);
  EXPECT_EQ(16, memory.block());
}

TEST(SyncedMemory, OverwritingCopiesNothing) {
  const ChannelBlocks layout{8, 1, 3, 2};
  SyncedMemory memory(6 * sizeof(float));
  memory.mutable_cpu_data();
  const uint64_t before = ReorderCount();
  memory.mutable_cpu_blocked(layout, false);
  EXPECT_EQ(8, memory.block());
  memory.overwrite_cpu_data();
  EXPECT_EQ(1, memory.block());
  EXPECT_EQ(before, ReorderCount());
}

TEST(SyncedMemory, LayoutsThatArePlainNeedNoSecondCopy) {
  const ChannelBlocks layout{8, 2, 16, 1};
  SyncedMemory memory(32 * sizeof(float));
  EXPECT_EQ(memory.cpu_data(), memory.cpu_blocked(layout));
  EXPECT_EQ(32 * sizeof(float), memory.allocated());
}

}  // namespace
}  // namespace caffe

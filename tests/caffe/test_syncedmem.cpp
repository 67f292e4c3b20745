#include "caffe/syncedmem.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

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

// Memory of the machine behind `size` bytes.
size_t Resident(const void* begin, size_t size) {
  const size_t page = sysconf(_SC_PAGESIZE), address = reinterpret_cast<uintptr_t>(begin);
  const size_t first = address / page * page, pages = (address + size - first + page - 1) / page;
  vector<unsigned char> states(pages);
  EXPECT_EQ(0, mincore(reinterpret_cast<void*>(first), pages * page, states.data()));
  return page * std::count_if(states.begin(), states.end(), [](int state) { return state & 1; });
}

// As where blobs of different sizes and layouts share a memory (Net::ReuseMemory).
TEST(SyncedMemory, WhatNobodyWritesTakesNoMemory) {
  const size_t size = 64 << 20;  // more than malloc keeps when it is freed
  const size_t little = 4 << 20;
  SyncedMemory memory(size);
  char* plain = static_cast<char*>(memory.overwrite_cpu_data());
  EXPECT_LT(Resident(plain, size), little);
  std::fill_n(plain, 1000, 1);
  const float* blocked = memory.mutable_cpu_blocked({8, 1, 12, size / 64}, false);
  EXPECT_LT(Resident(blocked, size), little);
  EXPECT_LT(Resident(plain, size), little);
}

TEST(SyncedMemory, LayoutsThatArePlainNeedNoSecondCopy) {
  const ChannelBlocks layout{8, 2, 16, 1};
  SyncedMemory memory(32 * sizeof(float));
  EXPECT_EQ(memory.cpu_data(), memory.cpu_blocked(layout));
  EXPECT_EQ(32 * sizeof(float), memory.allocated());
}

TEST(SyncedMemory, CallersMemoryNeedNotBeAligned) {
  const ChannelBlocks layout{16, 2, 16, 1};
  alignas(64) float values[33];
  for (int i = 0; i < 33; ++i) values[i] = static_cast<float>(i);
  SyncedMemory memory(32 * sizeof(float));
  memory.set_cpu_data(values + 1);
  const float* blocked = memory.cpu_blocked(layout);
  EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(blocked) % 64);
  EXPECT_TRUE(std::equal(blocked, blocked + 32, values + 1));
  float* written = memory.mutable_cpu_blocked(layout, false);
  EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(written) % 64);
  std::fill(written, written + 32, 7.0f);
  EXPECT_EQ(values + 1, memory.cpu_data());
  EXPECT_EQ(7.0f, values[32]);
}

}  // namespace
}  // namespace caffe

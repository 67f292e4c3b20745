#include <gtest/gtest.h>

#include "caffe/syncedmem.hpp"
#include "testing/gpu_util.hpp"

namespace caffe {
namespace {

class SyncedMemoryGpu : public testing::GpuTest {};

// The copy on the device, without making the one on the host valid.
float OnDevice(SyncedMemory* memory, int index) {
  float value;
  Device::Get().CopyToHost(&value, static_cast<const float*>(memory->gpu_data()) + index,
                           sizeof(float));
  return value;
}

void WriteOnDevice(void* memory, int index, float value) {
  Device::Get().CopyToDevice(static_cast<float*>(memory) + index, &value, sizeof(float));
}

TEST_F(SyncedMemoryGpu, FreshIsZeroOnTheDevice) {
  SyncedMemory memory(100 * sizeof(float));
  EXPECT_EQ(0, OnDevice(&memory, 99));
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, memory.head());
  EXPECT_EQ(0u, memory.allocated());
}

TEST_F(SyncedMemoryGpu, FollowsTheCopyThatWasWritten) {
  SyncedMemory memory(2 * sizeof(float));
  static_cast<float*>(memory.mutable_cpu_data())[1] = 5;
  EXPECT_EQ(SyncedMemory::HEAD_AT_CPU, memory.head());
  EXPECT_EQ(5, OnDevice(&memory, 1));
  EXPECT_EQ(SyncedMemory::SYNCED, memory.head());
  WriteOnDevice(memory.mutable_gpu_data(), 0, 3);
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, memory.head());
  EXPECT_EQ(3, static_cast<const float*>(memory.cpu_data())[0]);
  EXPECT_EQ(5, static_cast<const float*>(memory.cpu_data())[1]);
  EXPECT_EQ(SyncedMemory::SYNCED, memory.head());
  static_cast<float*>(memory.mutable_cpu_data())[0] = 4;
  EXPECT_EQ(4, OnDevice(&memory, 0));
}

TEST_F(SyncedMemoryGpu, ABlobTakesMemoryOfItsSize) {
  Blob<float> blob(std::vector<int>{1000});
  blob.mutable_cpu_data()[0] = 1;
  blob.Reshape({4});
  float* memory = static_cast<float*>(Device::Get().Allocate(4 * sizeof(float)));
  WriteOnDevice(memory, 3, 7);
  blob.set_gpu_data(memory);
  EXPECT_EQ(4 * sizeof(float), blob.data()->size());
  EXPECT_EQ(7, blob.cpu_data()[3]);
  EXPECT_EQ(memory, blob.gpu_data());
  Device::Get().Free(memory);
}

TEST_F(SyncedMemoryGpu, OverwritingCopiesNothing) {
  SyncedMemory memory(2 * sizeof(float));
  static_cast<float*>(memory.mutable_cpu_data())[0] = 5;
  WriteOnDevice(memory.overwrite_gpu_data(), 0, 1);
  WriteOnDevice(memory.overwrite_gpu_data(), 1, 2);
  EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, memory.head());
  EXPECT_EQ(1, static_cast<const float*>(memory.cpu_data())[0]);
  EXPECT_EQ(2, static_cast<const float*>(memory.cpu_data())[1]);
}

TEST_F(SyncedMemoryGpu, ChannelBlocksAndTheDeviceFollowEachOther) {
  const ChannelBlocks layout{8, 1, 3, 2};
  SyncedMemory memory(6 * sizeof(float));
  memory.mutable_cpu_blocked(layout, true)[1 * 8 + 2] = 9;  // channel 2, position 1
  EXPECT_EQ(9, OnDevice(&memory, 5));
  WriteOnDevice(memory.mutable_gpu_data(), 4, 8);
  EXPECT_EQ(8, memory.cpu_blocked(layout)[0 * 8 + 2]);
  EXPECT_EQ(9, memory.cpu_blocked(layout)[1 * 8 + 2]);
}

TEST_F(SyncedMemoryGpu, CallersDeviceMemoryIsNotFreed) {
  Device& device = Device::Get();
  void* own = device.Allocate(2 * sizeof(float));
  WriteOnDevice(own, 0, 1);
  WriteOnDevice(own, 1, 2);
  {
    SyncedMemory memory(2 * sizeof(float));
    memory.mutable_gpu_data();
    memory.set_gpu_data(own);
    EXPECT_EQ(own, memory.gpu_data());
    EXPECT_EQ(2, static_cast<const float*>(memory.cpu_data())[1]);
  }
  float value;
  device.CopyToHost(&value, own, sizeof(float));
  EXPECT_EQ(1, value);
  device.Free(own);
}

TEST_F(SyncedMemoryGpu, BlobsComputeWhereTheModeSays) {
  Blob<float> blob(vector<int>{5}), copy;
  testing::FillValues(&blob, {1, -2, 3, -4, 5});
  for (int i = 0; i < 5; ++i) blob.mutable_cpu_diff()[i] = 0.5f;
  {
    const testing::GpuMode mode;
    blob.Update();
    EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, blob.data()->head());
    EXPECT_FLOAT_EQ(0.5f + 2.5f + 2.5f + 4.5f + 4.5f, blob.asum_data());
    EXPECT_FLOAT_EQ(5 * 0.25f, blob.sumsq_diff());
    blob.scale_data(2);
    copy.CopyFrom(blob, false, true);
    EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, blob.data()->head());
  }
  EXPECT_EQ(-9, copy.cpu_data()[3]);
  EXPECT_EQ(1, blob.cpu_data()[0]);
}

}  // namespace
}  // namespace caffe

#include "caffe/util/device.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "testing/gpu_util.hpp"

namespace caffe {
namespace {

class DeviceGpu : public testing::GpuTest {};

TEST_F(DeviceGpu, MemoryIsCopiedThereAndBack) {
  Device& device = Device::Get();
  vector<char> sent(1000), received(1000, 0);
  std::iota(sent.begin(), sent.end(), 1);
  void *first = device.Allocate(1000), *second = device.Allocate(1000);
  EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(first) % 256);
  device.CopyToDevice(first, sent.data(), 1000);
  device.CopyInDevice(second, first, 1000);
  device.CopyToHost(received.data(), second, 1000);
  EXPECT_EQ(sent, received);
  device.Fill(second, 7, 10);
  device.CopyAnywhere(received.data(), second, 1000);
  EXPECT_EQ(7, received[0]);
  EXPECT_EQ(7, received[9]);
  EXPECT_EQ(sent[10], received[10]);
  device.Free(first);
  device.Free(second);
  device.Synchronize();
}

TEST_F(DeviceGpu, IsSelectedByNumber) {
  Device& device = Device::Get();
  ASSERT_GE(device.Count(), 1);
  Caffe::SetDevice(device.Count() - 1);
  EXPECT_EQ(device.Count() - 1, device.Selected());
  Caffe::SetDevice(0);
  EXPECT_EQ(0, device.Selected());
  EXPECT_TRUE(Caffe::CheckDevice(0));
  EXPECT_FALSE(Caffe::CheckDevice(device.Count()));
  EXPECT_EQ(-1, Caffe::FindDevice(device.Count()));
  EXPECT_ERROR(Caffe::SetDevice(99), "GPU 99: ");
  EXPECT_ERROR(Caffe::SetDevice(-1), "GPU -1: ");
  EXPECT_NE(string::npos, device.Describe().find("Name: "));
}

TEST(Device, GpuModeWithoutAGpuSaysWhy) {
  string why_not;
  if (Device::IsThere(&why_not)) GTEST_SKIP() << "there is a GPU";
  EXPECT_FALSE(why_not.empty());
  EXPECT_ERROR(Caffe::set_mode(Caffe::GPU), "GPU mode: " + why_not);
  EXPECT_EQ(Caffe::CPU, Caffe::mode());
  EXPECT_ERROR(Caffe::SetDevice(0), why_not);
  EXPECT_ERROR(Caffe::DeviceQuery(), why_not);
  EXPECT_FALSE(Caffe::CheckDevice(0));
  EXPECT_EQ(-1, Caffe::FindDevice(0));
}

}  // namespace
}  // namespace caffe

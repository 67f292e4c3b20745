#include "caffe/util/device.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <thread>

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

TEST_F(DeviceGpu, ThreadsMayHaveStreamsOfTheirOwn) {
  Device& device = Device::Get();
  EXPECT_EQ(nullptr, device.Stream());
  const int count = 1 << 16, threads = 4;
  vector<vector<float>> results(threads, vector<float>(count));
  vector<void*> streams(threads);
  vector<std::thread> all;
  std::atomic<int> waiting{threads};
  for (int t = 0; t < threads; ++t) {
    all.emplace_back([&, t] {
      Caffe::SetDevice(0);
      const OwnStream own;
      streams[t] = device.Stream();
      auto* memory = static_cast<float*>(device.Allocate(count * sizeof(float)));
      for (int round = 0; round < 20; ++round) {
        caffe_gpu_set(count, float(t), memory);
        caffe_gpu_add_scalar(count, 0.5f, memory);
        caffe_gpu_scal(count, 2.0f, memory);
      }
      device.CopyToHost(results[t].data(), memory, count * sizeof(float));
      device.Free(memory);
      // A stream that ended could lend its address to the next.
      for (--waiting; waiting > 0;) std::this_thread::yield();
    });
  }
  for (std::thread& thread : all) thread.join();
  for (int t = 0; t < threads; ++t) {
    EXPECT_EQ(vector<float>(count, 2 * t + 1.0f), results[t]);
    EXPECT_NE(nullptr, streams[t]);
    EXPECT_EQ(1, std::count(streams.begin(), streams.end(), streams[t]));
  }
  EXPECT_EQ(nullptr, device.Stream());
}

// What the emulated device does not do before it must is what a GPU may not have done.
class EmulatedDeviceGpu : public testing::GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (!IsSkipped() && !Device::Get().IsEmulated()) GTEST_SKIP() << "there is a GPU";
  }
  // Memory of the device, of which the host may see what has been done.
  struct Number {
    Number() : at(static_cast<float*>(Device::Get().Allocate(sizeof(float)))) {
      Device::Get().Synchronize();
    }
    ~Number() { Device::Get().Free(at); }
    void Set(float value) { caffe_gpu_set(1, value, at); }
    float Seen() const { return *at; }
    float* const at;
  };
};

TEST_F(EmulatedDeviceGpu, WorkIsDoneWhenItIsWaitedFor) {
  Number x, y;
  x.Set(1);
  caffe_gpu_axpby(1, 2.0f, x.at, 0.0f, y.at);
  EXPECT_TRUE(std::isnan(x.Seen()));
  Device::Get().Synchronize();
  EXPECT_EQ(1, x.Seen());
  EXPECT_EQ(2, y.Seen());
  x.Set(5);
  float received = 0;
  Device::Get().CopyToHost(&received, x.at, sizeof received);
  EXPECT_EQ(5, received);
}

TEST_F(EmulatedDeviceGpu, StreamsWaitForEachOtherAsOnAGpu) {
  for (const Device::StreamKind kind : {Device::OWN, Device::INDEPENDENT}) {
    Number x, y;
    {
      const OwnStream stream(kind);
      x.Set(1);
    }
    // The default stream has work behind it, and is waited for.
    y.Set(2);
    Device::Get().Synchronize();
    EXPECT_EQ(2, y.Seen());
    EXPECT_EQ(kind == Device::OWN, !std::isnan(x.Seen()));
    // The other way around.
    y.Set(3);
    {
      const OwnStream stream(kind);
      x.Set(4);
      Device::Get().Synchronize();
    }
    EXPECT_EQ(4, x.Seen());
    EXPECT_EQ(kind == Device::OWN ? 3 : 2, y.Seen());
  }
}

TEST_F(EmulatedDeviceGpu, AThreadThatEndsLeavesNothingUndone) {
  Number x;
  std::thread([&] {
    const OwnStream stream(Device::INDEPENDENT);
    x.Set(1);
  }).join();
  EXPECT_EQ(1, x.Seen());
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

#include "caffe/util/benchmark.hpp"

#include "caffe/common.hpp"
#include "caffe/util/device.hpp"

namespace caffe {

namespace {

// In GPU mode, what was started before counts.
void WaitForDevice() {
  if (Caffe::mode() == Caffe::GPU) Device::Get().Synchronize();
}

}  // namespace

void Timer::Start() {
  if (running_) return;
  WaitForDevice();
  running_ = has_run_ = true;
  start_ = Clock::now();
}

void Timer::Stop() {
  if (!running_) return;
  WaitForDevice();
  elapsed_ = Clock::now() - start_;
  running_ = false;
}

float Timer::MicroSeconds() {
  Stop();
  return std::chrono::duration<float, std::micro>(elapsed_).count();
}

float Timer::MilliSeconds() {
  return MicroSeconds() / 1e3f;
}

float Timer::Seconds() {
  return MicroSeconds() / 1e6f;
}

}  // namespace caffe

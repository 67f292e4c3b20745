#include "caffe/util/benchmark.hpp"

namespace caffe {

void Timer::Start() {
  if (running_) return;
  running_ = has_run_ = true;
  start_ = Clock::now();
}

void Timer::Stop() {
  if (!running_) return;
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

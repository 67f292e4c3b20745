#ifndef CAFFE_UTIL_BENCHMARK_H_
#define CAFFE_UTIL_BENCHMARK_H_

#include <chrono>

namespace caffe {

/// A stop watch on the monotonic clock. Reading it while it runs stops it.
class Timer {
 public:
  Timer() = default;
  virtual ~Timer() = default;
  virtual void Start();
  virtual void Stop();
  virtual float MilliSeconds();
  virtual float MicroSeconds();
  virtual float Seconds();

  bool initted() const { return true; }
  bool running() const { return running_; }
  bool has_run_at_least_once() const { return has_run_; }

 protected:
  typedef std::chrono::steady_clock Clock;

  Clock::time_point start_;
  Clock::duration elapsed_{};
  bool running_ = false;
  bool has_run_ = false;
};

/// The same: all times here are the host's.
class CPUTimer : public Timer {};

}  // namespace caffe

#endif  // CAFFE_UTIL_BENCHMARK_H_

#ifndef CAFFE_INTERNAL_THREAD_HPP_
#define CAFFE_INTERNAL_THREAD_HPP_

#include <atomic>
#include <exception>
#include <thread>

#include "caffe/common.hpp"

namespace caffe {

/// A base class for classes with one thread of their own, which runs InternalThreadEntry. The
/// thread gets the mode, the solver's rank and count, and a random seed from the thread that starts
/// it, and may run on any CPU of the process. As it calls virtual functions, the destructor of the
/// most derived class has to call StopInternalThread. Exceptions must not leave
/// InternalThreadEntry; it calls CheckStart first, in a try block.
class InternalThread {
 public:
  InternalThread() = default;
  virtual ~InternalThread();

  void StartInternalThread();
  /// Asks the thread to end, and returns when it has.
  void StopInternalThread();
  /// Whether there is a thread that has not been stopped.
  bool is_started() const { return thread_.joinable(); }
  /// Whether InternalThreadEntry is running.
  bool is_running() const { return running_; }

 protected:
  virtual void InternalThreadEntry() {}
  /// Wakes a thread that waits for something, so that it sees must_stop.
  virtual void WakeInternalThread() {}
  /// Throws what went wrong in the thread before InternalThreadEntry: a GPU that has failed.
  void CheckStart() const {
    if (start_error_) std::rethrow_exception(start_error_);
  }
  /// Loops in InternalThreadEntry end when this is true.
  bool must_stop() const { return stop_; }

 private:
  std::thread thread_;
  std::exception_ptr start_error_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> running_{false};

  DISABLE_COPY_AND_ASSIGN(InternalThread);
};

}  // namespace caffe

#endif  // CAFFE_INTERNAL_THREAD_HPP_

#ifndef CAFFE_UTIL_BLOCKING_QUEUE_HPP_
#define CAFFE_UTIL_BLOCKING_QUEUE_HPP_

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "caffe/common.hpp"

namespace caffe {

/// What pop and peek throw when the queue was closed while they waited.
struct QueueClosed {};

/// A queue between threads, first in, first out. Closing it wakes everybody who waits.
template <typename T>
class BlockingQueue {
 public:
  BlockingQueue() = default;

  void push(const T& item) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      items_.push_back(item);
    }
    changed_.notify_one();
  }
  /// Waits for an item; `log_on_wait` goes to the log (--v=1) when there is none yet.
  T pop(const string& log_on_wait = "") {
    if (!log_on_wait.empty() && size() == 0) VLOG(1) << log_on_wait;
    T item;
    if (!pop(&item)) throw QueueClosed();
    return item;
  }
  /// Waits for an item; false when the queue was closed instead.
  bool pop(T* item) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !items_.empty(); });
    return !closed_ && Take(item);
  }
  /// Does not wait; false when the queue is empty.
  bool try_pop(T* item) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return Take(item);
  }
  /// Like pop and try_pop, but the item stays.
  T peek() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !items_.empty(); });
    if (closed_) throw QueueClosed();
    changed_.notify_one();
    return items_.front();
  }
  bool try_peek(T* item) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (items_.empty()) return false;
    *item = items_.front();
    return true;
  }
  size_t size() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return items_.size();
  }
  void close() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }
  /// Empties the queue and opens it again.
  void reset() {
    const std::lock_guard<std::mutex> lock(mutex_);
    items_.clear();
    closed_ = false;
  }

 private:
  bool Take(T* item) {
    if (items_.empty()) return false;
    *item = std::move(items_.front());
    items_.pop_front();
    return true;
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> items_;
  bool closed_ = false;

  DISABLE_COPY_AND_ASSIGN(BlockingQueue);
};

}  // namespace caffe

#endif  // CAFFE_UTIL_BLOCKING_QUEUE_HPP_

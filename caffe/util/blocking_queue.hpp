#ifndef CAFFE_UTIL_BLOCKING_QUEUE_HPP_
#define CAFFE_UTIL_BLOCKING_QUEUE_HPP_

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

namespace caffe {

/// A queue between threads. Closing it wakes everybody who waits.
template <typename T>
class BlockingQueue {
 public:
  void push(const T& item) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      items_.push_back(item);
    }
    changed_.notify_one();
  }
  bool try_pop(T* item) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return Take(item);
  }
  /// Waits for an item; false when the queue was closed instead.
  bool pop(T* item) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !items_.empty(); });
    return !closed_ && Take(item);
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
  size_t size() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return items_.size();
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
};

}  // namespace caffe

#endif  // CAFFE_UTIL_BLOCKING_QUEUE_HPP_

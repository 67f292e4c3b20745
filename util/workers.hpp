#ifndef METAPERTURB_UTIL_WORKERS_HPP_
#define METAPERTURB_UTIL_WORKERS_HPP_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace caffe {

/// Threads that compute at the same time, each with a team of OpenMP threads of its own. Worker 0
/// is the thread that calls Run. What a worker makes it should also use and destroy: libraries keep
/// memory per thread.
class Workers {
 public:
  /// `count` workers with `threads` OpenMP threads each; threads = 0 leaves OpenMP's setting. With
  /// `bind`, each worker's team gets CPUs of its own, one per thread, as far as the process has
  /// enough, until this is destroyed.
  Workers(int count, int threads, bool bind);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  int size() const { return count_; }
  /// work(k) on every worker k at once; returns when all are done. An exception is thrown on: that
  /// of the lowest worker where there are several.
  void Run(const std::function<void(int)>& work);

 private:
  void Loop(int index);

  const int count_, threads_;
  const bool bind_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(int)>* work_ = nullptr;  // null tells the workers to end
  unsigned turn_ = 0;                               // counts Run's calls
  int running_ = 0;
  std::vector<std::exception_ptr> failures_;
  std::vector<std::thread> others_;
};

}  // namespace caffe

#endif  // METAPERTURB_UTIL_WORKERS_HPP_

#include "util/workers.hpp"

#include <omp.h>

#include <exception>

#include "util/threads.hpp"

namespace caffe {

namespace {

// The number of OpenMP threads of the calling thread's teams, for as long as this lives.
class TeamSize {
 public:
  explicit TeamSize(int threads) : before_(omp_get_max_threads()) {
    if (threads > 0) omp_set_num_threads(threads);
  }
  ~TeamSize() { omp_set_num_threads(before_); }
  TeamSize(const TeamSize&) = delete;
  TeamSize& operator=(const TeamSize&) = delete;

 private:
  const int before_;
};

}  // namespace

Workers::Workers(int count, int threads, bool bind)
    : count_(count), threads_(threads), bind_(bind), failures_(count) {
  for (int k = 1; k < count; ++k) others_.emplace_back([this, k] { Loop(k); });
  if (!bind) return;
  Run([](int k) {
    const int size = omp_get_max_threads();
#pragma omp parallel num_threads(size)
    BindThread(k * size + omp_get_thread_num());
  });
}

Workers::~Workers() {
  if (bind_) {
    const TeamSize size(threads_);
#pragma omp parallel
    UnbindThread();
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    work_ = nullptr;
    ++turn_;
  }
  wake_.notify_all();
  for (std::thread& thread : others_) thread.join();
}

void Workers::Run(const std::function<void(int)>& work) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    work_ = &work;
    running_ = count_ - 1;
    failures_.assign(count_, nullptr);
    ++turn_;
  }
  wake_.notify_all();
  {
    const TeamSize size(threads_);
    try {
      work(0);
    } catch (...) {
      failures_[0] = std::current_exception();
    }
  }
  std::unique_lock<std::mutex> lock(mutex_);
  done_.wait(lock, [this] { return running_ == 0; });
  for (const std::exception_ptr& failure : failures_) {
    if (failure) std::rethrow_exception(failure);
  }
}

void Workers::Loop(int index) {
  UnbindThread();
  if (threads_ > 0) omp_set_num_threads(threads_);
  unsigned seen = 0;
  while (true) {
    const std::function<void(int)>* work;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return turn_ != seen; });
      seen = turn_;
      work = work_;
    }
    if (!work) return;
    std::exception_ptr failure;
    try {
      (*work)(index);
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    failures_[index] = failure;
    if (--running_ == 0) done_.notify_one();
  }
}

}  // namespace caffe

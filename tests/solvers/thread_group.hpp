#ifndef METAPERTURB_TESTS_SOLVERS_THREAD_GROUP_HPP_
#define METAPERTURB_TESTS_SOLVERS_THREAD_GROUP_HPP_

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "solvers/process_group.hpp"

namespace caffe {
namespace meta_testing {

/// Threads in place of processes.
class ThreadGroup : public ProcessGroup {
 public:
  /// body(group) in `size` threads, each with its group.
  template <class Body>
  static void Run(int size, const Body& body) {
    Shared shared;
    shared.texts.resize(size);
    shared.numbers.resize(size);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank) {
      threads.emplace_back([&shared, &body, rank, size] {
        ThreadGroup group(&shared, rank, size);
        body(&group);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  std::vector<std::string> AllGather(const std::string& mine) override {
    shared_->texts[rank_] = mine;
    Meet();
    const std::vector<std::string> all = shared_->texts;
    Meet();
    return all;
  }
  std::vector<double> AllGather(const std::vector<double>& mine,
                                const std::vector<int>& counts) override {
    EXPECT_EQ(static_cast<int>(mine.size()), counts[rank_]);
    shared_->numbers[rank_] = mine;
    Meet();
    std::vector<double> all;
    for (const auto& numbers : shared_->numbers) {
      all.insert(all.end(), numbers.begin(), numbers.end());
    }
    Meet();
    return all;
  }
  void Send(const std::string& text, int to) override {
    const std::lock_guard<std::mutex> lock(shared_->mutex);
    shared_->mail[{rank_, to}].push_back(text);
    shared_->changed.notify_all();
  }
  std::string Receive(int from) override {
    std::unique_lock<std::mutex> lock(shared_->mutex);
    auto& mail = shared_->mail[{from, rank_}];
    shared_->changed.wait(lock, [&] { return !mail.empty(); });
    const std::string text = mail.front();
    mail.erase(mail.begin());
    return text;
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    int waiting = 0, meeting = 0;
    std::vector<std::string> texts;
    std::vector<std::vector<double>> numbers;
    std::map<std::pair<int, int>, std::vector<std::string>> mail;
  };

  ThreadGroup(Shared* shared, int rank, int size) : shared_(shared), rank_(rank), size_(size) {}

  void Meet() {
    std::unique_lock<std::mutex> lock(shared_->mutex);
    const int meeting = shared_->meeting;
    if (++shared_->waiting == size_) {
      shared_->waiting = 0;
      ++shared_->meeting;
      shared_->changed.notify_all();
    } else {
      shared_->changed.wait(lock, [&] { return shared_->meeting != meeting; });
    }
  }

  Shared* const shared_;
  const int rank_, size_;
};

}  // namespace meta_testing
}  // namespace caffe

#endif  // METAPERTURB_TESTS_SOLVERS_THREAD_GROUP_HPP_

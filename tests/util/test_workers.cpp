#include "util/workers.hpp"

#include <gtest/gtest.h>
#include <omp.h>
#include <sched.h>

#include <atomic>
#include <set>
#include <stdexcept>

namespace caffe {
namespace {

int CpusOfThisThread() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  sched_getaffinity(0, sizeof cpus, &cpus);
  return CPU_COUNT(&cpus);
}

TEST(Workers, EachRunsOnceAtTheSameTimeOnItsOwnThread) {
  Workers workers(3, 1, false);
  std::vector<std::thread::id> first(3), second(3);
  std::atomic<int> present{0};
  workers.Run([&](int k) {
    first[k] = std::this_thread::get_id();
    ++present;
    while (present < 3) std::this_thread::yield();  // ends only if all are here
  });
  workers.Run([&](int k) { second[k] = std::this_thread::get_id(); });
  EXPECT_EQ(first, second);
  EXPECT_EQ(first[0], std::this_thread::get_id());
  EXPECT_EQ(std::set<std::thread::id>(first.begin(), first.end()).size(), 3u);
}

TEST(Workers, TeamsHaveTheirThreadsAndTheCallersSettingStays) {
  const int before = omp_get_max_threads(), all = CpusOfThisThread();
  for (const bool bind : {false, true}) {
    Workers workers(2, 3, bind);
    std::vector<int> sizes(2, 0);
    workers.Run([&](int k) {
#pragma omp parallel
#pragma omp critical
      ++sizes[k];
    });
    EXPECT_EQ(sizes, (std::vector<int>{3, 3}));
    EXPECT_EQ(omp_get_max_threads(), before);
  }
  // The caller's threads may run anywhere again.
  const int cpus = CpusOfThisThread();
#pragma omp parallel num_threads(3)
  EXPECT_EQ(CpusOfThisThread(), cpus);
  EXPECT_EQ(cpus, all);
}

TEST(Workers, TheFirstExceptionIsThrownOnAndAllFinish) {
  Workers workers(3, 1, false);
  std::atomic<int> finished{0};
  for (int round = 0; round < 2; ++round) {
    try {
      workers.Run([&](int k) {
        ++finished;
        if (k > 0) throw std::runtime_error("worker " + std::to_string(k));
      });
      FAIL();
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "worker 1");
    }
  }
  EXPECT_EQ(finished, 6);
  workers.Run([](int) {});
}

}  // namespace
}  // namespace caffe

#include "caffe/internal_thread.hpp"

#include <gtest/gtest.h>

#include "caffe/util/blocking_queue.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {
namespace {

class Worker : public InternalThread {
 public:
  ~Worker() override { StopInternalThread(); }
  void InternalThreadEntry() override {
    rank = Caffe::solver_rank();
    first_number = (*caffe_rng())();
    ready.push(0);
    int item;
    while (!must_stop() && wait.pop(&item)) {
    }
  }
  void WakeInternalThread() override { wait.close(); }

  BlockingQueue<int> wait, ready;
  int rank = -1;
  uint32_t first_number = 0;
};

TEST(InternalThreadTest, StartsAndStops) {
  Worker worker;
  EXPECT_FALSE(worker.is_started());
  worker.StartInternalThread();
  EXPECT_TRUE(worker.is_started());
  worker.ready.pop();
  EXPECT_TRUE(worker.is_running());
  worker.StopInternalThread();
  EXPECT_FALSE(worker.is_started());
  EXPECT_FALSE(worker.is_running());
  worker.StopInternalThread();  // does nothing
  worker.wait.reset();
  worker.StartInternalThread();
  EXPECT_TRUE(worker.is_started());
}

TEST(InternalThreadTest, InheritsSettings) {
  uint32_t numbers[2];
  for (uint32_t& number : numbers) {
    Caffe::set_random_seed(7);
    Caffe::set_solver_rank(3);
    Worker worker;
    worker.StartInternalThread();
    worker.StopInternalThread();
    Caffe::set_solver_rank(0);
    EXPECT_EQ(worker.rank, 3);
    number = worker.first_number;
    Caffe::set_random_seed(7);
    EXPECT_NE(number, (*caffe_rng())());  // a stream of its own
  }
  EXPECT_EQ(numbers[0], numbers[1]);
}

}  // namespace
}  // namespace caffe

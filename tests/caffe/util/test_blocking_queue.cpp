#include "caffe/util/blocking_queue.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace caffe {
namespace {

TEST(BlockingQueueTest, FirstInFirstOut) {
  BlockingQueue<int> queue;
  int item = 0;
  EXPECT_FALSE(queue.try_pop(&item));
  EXPECT_FALSE(queue.try_peek(&item));
  for (int i = 1; i <= 3; ++i) queue.push(i);
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_EQ(queue.peek(), 1);
  EXPECT_TRUE(queue.try_peek(&item));
  EXPECT_EQ(item, 1);
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_EQ(queue.pop("waiting"), 1);
  EXPECT_TRUE(queue.try_pop(&item));
  EXPECT_EQ(item, 2);
  EXPECT_TRUE(queue.pop(&item));
  EXPECT_EQ(item, 3);
  EXPECT_EQ(queue.size(), 0u);
}

TEST(BlockingQueueTest, PassesItemsBetweenThreads) {
  BlockingQueue<int> queue;
  std::thread producer([&queue] {
    for (int i = 0; i < 1000; ++i) queue.push(i);
  });
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(queue.pop(), i);
  producer.join();
}

TEST(BlockingQueueTest, CloseWakesWhoWaits) {
  BlockingQueue<int> queue;
  bool got = true, thrown = false;
  std::thread one([&] {
    int item;
    got = queue.pop(&item);
  });
  std::thread other([&] {
    try {
      queue.peek();
    } catch (const QueueClosed&) {
      thrown = true;
    }
  });
  queue.close();
  one.join();
  other.join();
  EXPECT_FALSE(got);
  EXPECT_TRUE(thrown);
  EXPECT_THROW(queue.pop(), QueueClosed);
  queue.push(1);
  queue.reset();
  EXPECT_EQ(queue.size(), 0u);
  queue.push(2);
  EXPECT_EQ(queue.pop(), 2);
}

}  // namespace
}  // namespace caffe

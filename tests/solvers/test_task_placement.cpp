#include "solvers/task_placement.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace caffe {
namespace {

typedef std::vector<double> Costs;
typedef std::vector<int> Places;

TEST(TaskPlacement, EqualTasksAreDealtOut) {
  EXPECT_EQ(PlaceTasks(Costs(5, 1.0), 2), (Places{0, 1, 0, 1, 0}));
  EXPECT_EQ(PlaceTasks(Costs(2, 1.0), 4), (Places{0, 1}));
}

TEST(TaskPlacement, CostlyTasksGetWorkersOfTheirOwn) {
  const Costs costs = {1, 9, 1, 4, 4};
  const Places places = PlaceTasks(costs, 2);
  EXPECT_EQ(places, (Places{1, 0, 0, 1, 1}));
  EXPECT_EQ(BusiestCost(costs, places, 2), 10);
}

TEST(TaskPlacement, IsWithinItsBound) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    const int workers = 2 + static_cast<int>(random() % 3);
    Costs costs(workers + random() % 5);
    for (double& cost : costs) cost = 1 + static_cast<double>(random() % 20);
    // The best of all placements, by trying them.
    double best = 1e30;
    Places places(costs.size(), 0);
    for (size_t digit = 0; digit < places.size();) {
      best = std::min(best, BusiestCost(costs, places, workers));
      for (digit = 0; digit < places.size() && ++places[digit] == workers; ++digit) {
        places[digit] = 0;
      }
    }
    const double found = BusiestCost(costs, PlaceTasks(costs, workers), workers);
    EXPECT_LE(found, (4.0 / 3 - 1.0 / (3 * workers)) * best + 1e-9);
  }
}

TEST(TaskPlacement, TasksAtOnce) {
  EXPECT_EQ(ChooseTasksAtOnce(10, 1), 1);
  EXPECT_EQ(ChooseTasksAtOnce(10, 2), 2);
  EXPECT_EQ(ChooseTasksAtOnce(1, 8), 1);
  EXPECT_EQ(ChooseTasksAtOnce(2, 8), 2);
  EXPECT_EQ(ChooseTasksAtOnce(10, 20), 10);
  EXPECT_EQ(ChooseTasksAtOnce(10, 16), 5);  // 10 would leave 6 threads idle
  EXPECT_EQ(ChooseTasksAtOnce(10, 8), 2);   // 8 at once would take two rounds with one thread each
}

}  // namespace
}  // namespace caffe

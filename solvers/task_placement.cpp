#include "solvers/task_placement.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace caffe {

std::vector<int> PlaceTasks(const std::vector<double>& costs, int workers) {
  std::vector<int> order(costs.size()), places(costs.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return costs[a] > costs[b]; });
  std::vector<double> load(workers, 0.0);
  for (const int task : order) {
    const auto least = std::min_element(load.begin(), load.end());
    places[task] = static_cast<int>(least - load.begin());
    *least += costs[task];
  }
  return places;
}

double BusiestCost(const std::vector<double>& costs, const std::vector<int>& places, int workers) {
  std::vector<double> load(workers, 0.0);
  for (size_t t = 0; t < costs.size(); ++t) load[places[t]] += costs[t];
  return *std::max_element(load.begin(), load.end());
}

int ChooseTasksAtOnce(int tasks, int threads) {
  int best = 1;
  double least = 0;
  for (int at_once = 1; at_once <= std::min(tasks, threads); ++at_once) {
    const int rounds = (tasks + at_once - 1) / at_once;
    const double time = rounds / std::pow(threads / at_once, 0.9);
    if (at_once == 1 || time <= least) {
      best = at_once;
      least = time;
    }
  }
  return best;
}

}  // namespace caffe

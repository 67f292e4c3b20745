#ifndef METAPERTURB_SOLVERS_TASK_PLACEMENT_HPP_
#define METAPERTURB_SOLVERS_TASK_PLACEMENT_HPP_

#include <vector>

namespace caffe {

/// The worker of each task, 0 to workers - 1, such that the busiest has little to do: the costliest
/// task first, each to the worker with the least so far (Graham 1969: at most 4/3 of the best).
/// Equal tasks are dealt out in turn. Depends on its arguments alone.
std::vector<int> PlaceTasks(const std::vector<double>& costs, int workers);

/// The cost of the busiest worker.
double BusiestCost(const std::vector<double>& costs, const std::vector<int>& places, int workers);

/// How many of `tasks` equal tasks to compute at a time with `threads` threads, which are divided
/// among them: the number that ends first if n threads do the work of n^0.9, the greater where two
/// do.
int ChooseTasksAtOnce(int tasks, int threads);

}  // namespace caffe

#endif  // METAPERTURB_SOLVERS_TASK_PLACEMENT_HPP_

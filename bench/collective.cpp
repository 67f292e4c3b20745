// bench_collective: the time of the one communication of a meta-step, as one line of JSON.
//   mpirun -np N bench_collective [--tasks=T]
// All processes meet, then exchange what T tasks spread over them send in a step.

#include <algorithm>

#include "bench/common.hpp"
#include "tools/metaperturb/launch.hpp"
#include "util/error.hpp"

DEFINE_int32(tasks, 10, "Tasks of the run");
DEFINE_int32(rounds, 1000, "Exchanges to measure");

namespace {

void Measure() {
  ENFORCE(FLAGS_tasks > 0 && FLAGS_rounds > 0)
      << "--tasks=" << FLAGS_tasks << " --rounds=" << FLAGS_rounds << ": must be positive";
  const std::unique_ptr<caffe::ProcessGroup> group = JoinGroup();
  // 4 numbers of each process, 5 of each task, and phi's gradient (solvers/task_set.cpp).
  std::vector<int> counts(group->size(), 4);
  for (int t = 0; t < FLAGS_tasks; ++t) counts[t % group->size()] += 5 + 82;
  const std::vector<double> mine(counts[group->rank()], 0.5);
  std::vector<double> microseconds;
  for (int round = 0; round < FLAGS_rounds; ++round) {
    group->AllGather(std::string());
    const metaperturb::bench::Stopwatch watch;
    group->AllGather(mine, counts);
    microseconds.push_back(1e3 * watch.Milliseconds());
  }
  if (group->rank() > 0) return;
  std::sort(microseconds.begin(), microseconds.end());
  const auto quantile = [&](double q) {
    return microseconds[static_cast<size_t>(q * static_cast<double>(microseconds.size() - 1))];
  };
  metaperturb::bench::JsonLine line;
  line.Add("processes", group->size());
  line.Add("tasks", FLAGS_tasks);
  line.Add("median_us", quantile(0.5));
  line.Add("p90_us", quantile(0.9));
  line.Add("max_us", quantile(1));
  line.Print();
}

}  // namespace

int main(int argc, char** argv) {
  return metaperturb::bench::Main(
      argc, argv,
      "The time of a meta-step's communication: mpirun -np N bench_collective [--tasks=T]",
      Measure);
}

// metaperturb train: meta-learns phi on source tasks, alone or as one of several MPI processes.

#include <omp.h>

#include <iostream>
#include <memory>

#include "caffe/util/signal_handler.h"
#include "solvers/meta_solver.hpp"
#include "solvers/phi_score.hpp"
#include "solvers/task_placement.hpp"
#ifndef METAPERTURB_FOREIGN_HOST
#include "caffe/util/device.hpp"
#include "tools/common/use_device.hpp"
#endif
#include "tools/metaperturb/commands.hpp"
#include "tools/metaperturb/launch.hpp"
#include "tools/metaperturb/selection.hpp"
#include "util/error.hpp"
#include "util/threads.hpp"

DEFINE_string(solver, "", "Definition of the run (.prototxt, MetaSolverParameter)");
DEFINE_string(snapshot, "",
              "Snapshot (.metastate) to resume from; 'latest': the newest of "
              "snapshot_prefix that is whole");
DEFINE_int32(iterations, 0, "Meta-steps, in place of max_iter");
DEFINE_int32(runs, 1,
             "Meta-training runs, from random_seed, random_seed + 1, ...; what they write "
             "has _run0, _run1, ... in its name");
DEFINE_string(select_on, "",
              "Solver (.prototxt, SolverParameter) of a target task that is not among the "
              "sources: it is trained with every run's phi, and the best copied to "
              "PREFIX_phi.caffemodel");
DEFINE_int32(
    tasks_at_once, 0,
    "Tasks to compute at a time in each process; 0: what the CPUs suggest, on a GPU at most 4");
DEFINE_int32(task_threads, 0,
             "Threads for each of them; 0: the process's CPUs divided by tasks_at_once");

namespace caffe {
namespace {

MetaParallelism ChooseParallelism(const MetaSolverParameter& param, ProcessGroup* group) {
  bool exclusive = true;
  const int cpus = CpuShare(group, &exclusive);
  const int threads = std::min(omp_get_max_threads(), cpus);
  const int tasks = (param.task_size() + group->size() - 1) / group->size();
  MetaParallelism how;
  how.group = group;
  how.tasks_at_once = FLAGS_tasks_at_once;
  if (how.tasks_at_once == 0) {
    how.tasks_at_once = FLAGS_task_threads > 0 ? std::min(tasks, threads / FLAGS_task_threads)
                                               : ChooseTasksAtOnce(tasks, threads);
  }
#ifndef METAPERTURB_FOREIGN_HOST
  // Each thread of a GPU's has activations of its own there, and few are enough to fill it.
  if (FLAGS_tasks_at_once == 0 && Caffe::mode() == Caffe::GPU) {
    how.tasks_at_once = std::min(how.tasks_at_once, 4);
  }
#endif
  how.tasks_at_once = std::max(1, std::min(how.tasks_at_once, tasks));
  how.task_threads =
      FLAGS_task_threads > 0 ? FLAGS_task_threads : std::max(1, threads / how.tasks_at_once);
  // Two programs with fewer threads than CPUs would bind theirs to the same few.
  how.bind = exclusive && threads == cpus && how.tasks_at_once * how.task_threads == cpus;
  if (group->rank() == 0 && group->size() > param.task_size()) {
    LOG(WARNING) << group->size() << " processes for " << param.task_size()
                 << " task(s): the others have nothing to do";
  }
  LOG(INFO) << group->size() << " process(es), " << how.tasks_at_once << " task(s) at a time in "
            << (group->size() > 1 ? "this one" : "it") << ", " << how.task_threads
            << " thread(s) each";
  return how;
}

#ifndef METAPERTURB_FOREIGN_HOST
// Each process says "Using GPU" for itself, and only the first is heard.
void LogGpus(ProcessGroup* group) {
  if (Caffe::mode() != Caffe::GPU || group->size() == 1) return;
  string list;
  for (const string& id : group->AllGather(std::to_string(Device::Get().Selected()))) {
    list += (list.empty() ? "" : ", ") + id;
  }
  LOG(INFO) << "GPUs of the processes: " << list;
}
#endif

// Meta-trains once. False if a signal ended it early.
bool TrainOnce(MetaSolverParameter param, const MetaParallelism& how, SignalHandler* signals) {
  ProcessGroup* const group = how.group;
  string snapshot = FLAGS_snapshot;
  group->Together([&] {
    if (snapshot == "latest") snapshot = group->rank() == 0 ? LatestSnapshot(param) : "";
  });
  snapshot = group->AllGather(snapshot)[0];
  group->Together([&] {
    if (!snapshot.empty()) AdoptSnapshotSeed(snapshot, &param);
  });
  std::unique_ptr<MetaSolver<float>> solver;
  try {
    solver.reset(new MetaSolver<float>(param, how));
  } catch (const Error& e) {
    throw Error(FLAGS_solver + ": " + e.what());
  }
  solver->SetActionFunction(signals->GetActionFunction());
  LOG(INFO) << "Starting Optimization";
  return solver->Solve(snapshot);
}

void Train(ProcessGroup* group) {
  MetaSolverParameter param;
  SolverParameter target;
  group->Together([&] {
    ENFORCE(!FLAGS_solver.empty()) << "flag --solver is missing";
    ENFORCE(FLAGS_iterations >= 0) << "--iterations=" << FLAGS_iterations << ": must be above 0";
    ENFORCE(FLAGS_tasks_at_once >= 0)
        << "--tasks_at_once=" << FLAGS_tasks_at_once << ": must not be negative";
    const int most = 1024;  // of far more, OpenMP ends the process
    ENFORCE(FLAGS_task_threads >= 0 && FLAGS_task_threads <= most)
        << "--task_threads=" << FLAGS_task_threads << ": must be from 0 to " << most;
    ENFORCE(FLAGS_runs > 0) << "--runs=" << FLAGS_runs << ": must be above 0";
    ENFORCE(FLAGS_runs == 1 || FLAGS_snapshot.empty() || FLAGS_snapshot == "latest")
        << "--snapshot=" << FLAGS_snapshot << ": with --runs only 'latest'";
    param = ReadMetaSolverParameter(FLAGS_solver);
    if (FLAGS_iterations > 0) param.set_max_iter(static_cast<uint32_t>(FLAGS_iterations));
    ENFORCE(FLAGS_runs == 1 || param.random_seed() >= 0)
        << FLAGS_solver << ": random_seed is not given; --runs counts up from it";
    if (!FLAGS_select_on.empty()) target = ReadTarget(FLAGS_select_on, param);
  });
#ifdef METAPERTURB_FOREIGN_HOST
  LOG(INFO) << "Use CPU.";
  Caffe::set_mode(Caffe::CPU);
#else
  const PlaceOnMachine place = FindPlace(group);
  group->Together([&] { UseDevice(place.process, place.processes); });
  LogGpus(group);
#endif
  const MetaParallelism how = ChooseParallelism(param, group);
  // Before the nets are built, which takes a while: a signal then ends the run after its first
  // step.
  SignalHandler signals(SolverAction::STOP, SolverAction::SNAPSHOT);
  for (int i = 0; i < FLAGS_runs; ++i) {
    if (FLAGS_runs > 1) LOG(INFO) << "Run " << i << " of " << FLAGS_runs;
    if (!TrainOnce(RunOf(param, i, FLAGS_runs), how, &signals)) return;
  }
  if (!FLAGS_select_on.empty()) {
    const bool resume = FLAGS_snapshot == "latest";
    if (!SelectRun(param, FLAGS_runs, target, resume, group, signals.GetActionFunction())) {
      LOG(INFO) << "Selection stopped early.";
      return;
    }
  }
  LOG(INFO) << "Optimization Done.";
}

}  // namespace
}  // namespace caffe

int RunTrain() {
  const std::unique_ptr<caffe::ProcessGroup> group = JoinGroup();
  // What all processes have to say, one says.
  if (group->rank() > 0) FLAGS_minloglevel = google::GLOG_WARNING;
  try {
    caffe::Train(group.get());
  } catch (const std::exception& e) {
    if (group->size() == 1 || (group->failed_together() && group->rank() == 0)) throw;
    if (group->failed_together()) return 1;
    std::cerr << "ERROR: process " << group->rank() << ": " << e.what() << std::endl;
    AbortGroup();
  }
  return 0;
}

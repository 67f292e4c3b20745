// metaperturb train: meta-learns phi on source tasks.

#include <memory>

#include "caffe/util/signal_handler.h"
#include "solvers/meta_solver.hpp"
#include "tools/metaperturb/commands.hpp"
#include "util/error.hpp"

DEFINE_string(solver, "", "train: definition of the run (.prototxt, MetaSolverParameter)");
DEFINE_string(snapshot, "",
              "train: snapshot (.metastate) to resume from; 'latest': the newest of "
              "snapshot_prefix that is whole");
DEFINE_int32(iterations, 0, "train: meta-steps, in place of max_iter");

int RunTrain() {
  using namespace caffe;  // NOLINT
  ENFORCE(!FLAGS_solver.empty()) << "flag --solver is missing";
  ENFORCE(FLAGS_iterations >= 0) << "--iterations=" << FLAGS_iterations << ": must be above 0";
  MetaSolverParameter param = ReadMetaSolverParameter(FLAGS_solver);
  if (FLAGS_iterations > 0) param.set_max_iter(static_cast<uint32_t>(FLAGS_iterations));
  const string snapshot = FLAGS_snapshot == "latest" ? LatestSnapshot(param) : FLAGS_snapshot;
  if (!snapshot.empty()) AdoptSnapshotSeed(snapshot, &param);
  LOG(INFO) << "Use CPU.";
  Caffe::set_mode(Caffe::CPU);
  // Before the nets are built, which takes a while: a signal then ends the run after its first
  // step.
  SignalHandler signals(SolverAction::STOP, SolverAction::SNAPSHOT);
  std::unique_ptr<MetaSolver<float>> solver;
  try {
    solver.reset(new MetaSolver<float>(param));
  } catch (const Error& e) {
    throw Error(FLAGS_solver + ": " + e.what());
  }
  solver->SetActionFunction(signals.GetActionFunction());
  LOG(INFO) << "Starting Optimization";
  solver->Solve(snapshot);
  LOG(INFO) << "Optimization Done.";
  return 0;
}

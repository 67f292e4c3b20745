#ifndef METAPERTURB_SOLVERS_META_SOLVER_HPP_
#define METAPERTURB_SOLVERS_META_SOLVER_HPP_

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "caffe/proto/meta_solver.pb.h"
#include "caffe/sgd_solvers.hpp"
#include "solvers/task_set.hpp"
#include "util/metrics_log.hpp"
#include "util/progress.hpp"

namespace caffe {

/// Learns phi, the parameter that MetaPerturb layers share, on source tasks t with weights theta_t
/// of their own. One meta-step, of first order:
///     theta_t <- step of theta's optimiser with d L_train(theta_t, phi) / d theta_t, for every t
///     phi     <- step of phi's optimiser with sum_t w_t d L_val(theta_t, phi) / d phi
///                / sum_t w_t
/// where L_val is taken with the new theta_t. Neither pass computes the other's gradient, and the
/// second leaves theta and the running statistics of batch normalisation alone. MetaPerturb works
/// in TRAIN mode in both and updates its running statistics in both. With bilevel: LOOKAHEAD the
/// gradient of phi is that of L_val after one virtual gradient step from the old theta_t, as a
/// function of phi (solvers/lookahead.hpp), at about twice the time.
///
/// Tasks are computed one at a time, or several in threads and processes (solvers/task_set.hpp);
/// phi's gradient sums in order of the tasks, so that the result is bitwise the same.
///
/// MetaSolverParameter (proto/meta_solver.proto) describes tasks and optimisers; both optimisers
/// have any of the six types, and learning-rate policies count meta-steps up to max_iter. iter_size
/// of phi is the number of validation batches per step. phi starts from N(0, 0.01^2), or from the
/// file in the layers' metaperturb_param.phi.
///
/// Every mistake in what the user gave is a caffe::Error, thrown by the constructor before any
/// training; later ones are a loss that is not finite, bad data, and a snapshot that cannot be
/// written.
template <typename Dtype>
class MetaSolver {
 public:
  /// With more than one process in how.group, every call below is collective.
  explicit MetaSolver(const MetaSolverParameter& param, const MetaParallelism& how = {});

  /// `func` is asked after every meta-step: SNAPSHOT takes one, STOP takes one and ends Solve. With
  /// several processes any may ask for it, and all follow after the next step.
  void SetActionFunction(ActionCallback func) { action_function_ = func; }

  /// Runs until max_iter, with log lines and snapshots; resumes from the .metastate `resume_file`
  /// if given. False where a STOP was asked for, after the last step, too.
  bool Solve(const string& resume_file = "");
  /// `iters` meta-steps, without snapshots.
  void Step(int iters);
  /// Writes PREFIX_phi_iter_N.caffemodel (what metaperturb_param.phi loads) and
  /// PREFIX_iter_N.metastate.
  void Snapshot();
  /// Continues a run bitwise as if it had not stopped, given the same definition and seed.
  void Restore(const string& file);

  int iter() const { return iter_; }
  int64_t seed() const { return seed_; }
  const MetaSolverParameter& param() const { return param_; }
  /// phi; its diff is what the last step subtracted.
  const Blob<Dtype>& phi() const { return *phi_; }
  TaskSet<Dtype>& task_set() { return tasks_; }
  /// Null where another process has the task.
  const vector<std::unique_ptr<MetaTask<Dtype>>>& tasks() const { return tasks_.tasks(); }

 private:
  struct Losses {
    vector<double> theta, val;  // per task
  };

  /// param_, after Check in all processes.
  const MetaSolverParameter& Checked(const MetaParallelism& how) const;
  void Check() const;
  void CheckOptimiser(const SolverParameter& optimiser) const;
  void MakePhi();
  void MetaStep();
  void Log(bool metrics);
  /// What Log prints, as MetaSolverParameter.csv and .tensorboard.
  void WriteMetrics(const Losses& mean);
  void StartClocks(int last);
  SolverAction::Enum RequestedAction();
  bool leads() const { return tasks_.group().rank() == 0; }
  string SnapshotName(const string& middle, const string& extension) const;
  void CheckSnapshotPrefix();
  /// Whether this iteration's files are there.
  bool HasSnapshot();
  /// phi as metaperturb_param.phi loads it.
  NetParameter PhiModel() const;

  MetaSolverParameter param_;
  int64_t seed_;
  int iter_ = 0;
  int snapshot_iter_ = -1;
  TaskSet<Dtype> tasks_;
  std::unique_ptr<SGDSolver<Dtype>> phi_solver_;
  Blob<Dtype>* phi_ = nullptr;
  std::deque<Losses> losses_;  // of the last average_loss meta-steps
  vector<double> accuracies_;  // of the last meta-step
  double phi_gradient_norm_ = 0;
  double theta_rate_ = 0;  // of the first task
  ActionCallback action_function_;
  SolverAction::Enum wanted_ = SolverAction::NONE;  // by this process
  SolverAction::Enum agreed_ = SolverAction::NONE;  // by all
  Progress progress_;
  MetricsLog metrics_;
  Timer timer_;  // since the last log line, at iteration logged_iter_
  int logged_iter_ = 0;

  DISABLE_COPY_AND_ASSIGN(MetaSolver);
};

/// Reads a meta-solver's prototxt. A snapshot_prefix that is not set becomes the file's path
/// without its extension. Errors name the file, and line and column where it does not parse.
MetaSolverParameter ReadMetaSolverParameter(const string& file);

/// Gives `param` the seed of the run that wrote a .metastate, unless it sets random_seed itself: to
/// be called before the meta-solver is made.
void AdoptSnapshotSeed(const string& state_file, MetaSolverParameter* param);

/// The newest .metastate of the run that is whole: a damaged one is named in a warning and the one
/// before it taken. Empty where there is none yet; an Error where all are damaged.
string LatestSnapshot(const MetaSolverParameter& param);

}  // namespace caffe

#endif  // METAPERTURB_SOLVERS_META_SOLVER_HPP_

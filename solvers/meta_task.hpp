#ifndef METAPERTURB_SOLVERS_META_TASK_HPP_
#define METAPERTURB_SOLVERS_META_TASK_HPP_

#include <memory>
#include <string>
#include <vector>

#include "caffe/proto/meta_solver.pb.h"
#include "caffe/sgd_solvers.hpp"
#include "solvers/lookahead.hpp"
#include "solvers/task_nets.hpp"
#include "util/event_file.hpp"

namespace caffe {

/// One source task of a meta-training run: its weights theta with their optimiser, and two nets
/// over them.
///   theta net       TRAIN, on train_source; phi is fixed.
///   validation net  TRAIN, on val_source; batch normalisation uses its running statistics; only
///   phi learns (with LOOKAHEAD, theta gets its gradient, too).
/// They share weights and all running statistics; each counts its own passes for anneal_iter. Their
/// seeds differ, so that noise and augmentation do. An Error names the task.
template <typename Dtype>
class MetaTask {
 public:
  /// Builds task `index` of `run`; its nets take the seeds `seed` and `seed` + 1. `nets` has, or
  /// reads, their definition.
  MetaTask(const MetaSolverParameter& run, NetFiles* nets, int index, int64_t seed);

  const string& name() const { return name_; }
  float weight() const { return param_.weight(); }
  /// What others need to know of the task.
  void Describe(MetaTaskReport* report) const;

  /// phi as the theta net's layers hold it.
  const Blob<Dtype>& phi() const;
  /// From now on all layers of both nets use the memory of `phi`.
  void SharePhi(const Blob<Dtype>& phi);
  /// Uses the memory of another net's activations, to hold one set instead of one per net.
  void Borrow(const Net<Dtype>& lender);

  /// A meta-step but for phi's: theta's, and phi's gradient over `batches` validation batches, by
  /// the run's scheme. Gives the mean losses.
  void Step(int batches, double* theta_loss, double* val_loss);
  /// One step of theta's optimiser; returns the training loss.
  double StepTheta();
  /// Forward and backward pass of the validation net, `batches` times; returns the mean loss.
  double Validate(int batches);
  /// The gradient of phi that Step or Validate summed over the batches.
  const vector<double>& phi_gradient() const { return phi_gradient_; }
  /// Of the last validation batch; not a number when the net has no Accuracy layer in TRAIN.
  double accuracy() const { return accuracy_; }

  /// "NAME/LAYER/noise_mean", noise_deviation, scale_mean and scale_deviation of every MetaPerturb
  /// layer in the last validation pass.
  void AppendPerturbations(Scalars* scalars) const;

  void ToProto(MetaSolverState::Task* state) const;
  void FromProto(const MetaSolverState::Task& state);

  Net<Dtype>& theta_net() const { return *solver_->net(); }
  Net<Dtype>& val_net() const { return *val_net_; }
  SGDSolver<Dtype>& solver() const { return *solver_; }

 private:
  void Build(const MetaSolverParameter& run, NetFiles* nets, int index, int64_t seed);
  int PhiIndex(const Net<Dtype>& net) const;
  /// The task, its net's file and the source of its images, for errors of a pass.
  string Where(const string& source) const;
  /// Checks the loss of `batches` training passes, and makes theta's step with their gradient.
  double UpdateTheta(double loss_sum, int batches);

  string name_;
  string net_file_;
  string phi_param_;
  string phi_file_;
  MetaTaskParameter param_;
  std::unique_ptr<SGDSolver<Dtype>> solver_;
  shared_ptr<Net<Dtype>> val_net_;
  std::unique_ptr<Lookahead<Dtype>> lookahead_;  // where the run's scheme is LOOKAHEAD
  float lookahead_rate_ = 0;                     // of the virtual step; 0: theta's learning rate
  // The pass counters of the validation net's MetaPerturb layers.
  vector<shared_ptr<Blob<Dtype>>> counts_;
  vector<double> phi_gradient_;
  double accuracy_;
  int val_batches_ = 1;                         // of a meta-step
  uint64_t train_passes_ = 0, val_passes_ = 0;  // forward passes of either net

  DISABLE_COPY_AND_ASSIGN(MetaTask);
};

/// The name of task `index`, given or "taskINDEX".
string TaskName(const MetaSolverParameter& run, int index);

/// The file with the definition of its network.
string NetFile(const MetaSolverParameter& run, int index);

/// The optimiser of a task's weights: the run's, with what the task itself gives in its place.
SolverParameter ThetaOptimiser(const MetaSolverParameter& run, const MetaTaskParameter& task);

/// A solver for `net` with the optimiser that `optimiser` describes: no tests, snapshots or log
/// lines. Errors: an unknown type, and what the solver itself refuses.
template <typename Dtype>
std::unique_ptr<SGDSolver<Dtype>> MakeSolver(const SolverParameter& optimiser,
                                             const NetParameter& net,
                                             const MetaSolverParameter& run, int64_t seed);

/// Position and moments of a solver. FromProto throws an Error where they do not fit.
template <typename Dtype>
void SolverToProto(SGDSolver<Dtype>* solver, SolverState* state);
template <typename Dtype>
void SolverFromProto(const SolverState& state, SGDSolver<Dtype>* solver);

}  // namespace caffe

#endif  // METAPERTURB_SOLVERS_META_TASK_HPP_

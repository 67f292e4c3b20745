#ifndef CAFFE_SOLVER_HPP_
#define CAFFE_SOLVER_HPP_

#include <boost/function.hpp>
#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "caffe/solver_factory.hpp"
#include "caffe/util/benchmark.hpp"
#include "util/progress.hpp"

namespace caffe {

/// What a solver's client may ask for between iterations. STOP takes a snapshot and ends Solve();
/// SNAPSHOT takes one and goes on.
namespace SolverAction {
enum Enum { NONE = 0, STOP = 1, SNAPSHOT = 2 };
}

typedef boost::function<SolverAction::Enum()> ActionCallback;

/// Trains a net: iterations of forward, backward and ApplyUpdate, with tests, log lines and
/// snapshots at the intervals that SolverParameter gives (proto/caffe.proto has every field and its
/// default). A subclass says how parameters are updated, and saves and restores what it remembers.
///
/// A user's mistake is a caffe::Error; so is a loss that is not finite, before it reaches the
/// weights. A run resumed from a snapshot is bitwise the same as one that never stopped.
template <typename Dtype>
class Solver {
 public:
  explicit Solver(const SolverParameter& param);
  explicit Solver(const string& param_file);
  virtual ~Solver() {}
  void Init(const SolverParameter& param);
  void InitTrainNet();
  void InitTestNets();

  /// `func` is asked after every iteration and before every test batch.
  void SetActionFunction(ActionCallback func) { action_request_function_ = func; }
  SolverAction::Enum GetRequestedAction() {
    return action_request_function_ ? action_request_function_() : SolverAction::NONE;
  }

  /// Trains until max_iter, from the snapshot `resume_file` (a .solverstate) if there is one.
  virtual void Solve(const char* resume_file = nullptr);
  void Solve(const string& resume_file) { Solve(resume_file.c_str()); }
  void Step(int iters);
  void Restore(const char* resume_file);
  /// Writes PREFIX_iter_N.caffemodel and PREFIX_iter_N.solverstate; throws where a weight or a
  /// running statistic is not finite.
  void Snapshot();
  /// From now on a snapshot removes the files of all but the `count` newest; 0 (the default): none.
  void set_snapshot_keep(int count) { snapshot_keep_ = count; }

  const SolverParameter& param() const { return param_; }
  shared_ptr<Net<Dtype>> net() { return net_; }
  const vector<shared_ptr<Net<Dtype>>>& test_nets() { return test_nets_; }
  int iter() const { return iter_; }

  /// Called at the start of an iteration and between its backward pass and its update.
  class Callback {
   public:
    virtual ~Callback() = default;

   protected:
    virtual void on_start() = 0;
    virtual void on_gradients_ready() = 0;

    template <typename T>
    friend class Solver;
  };
  const vector<Callback*>& callbacks() const { return callbacks_; }
  void add_callback(Callback* value) { callbacks_.push_back(value); }

  /// An Error if snapshots are to be written and cannot be.
  void CheckSnapshotWritePermissions();
  virtual const char* type() const { return ""; }

  /// Updates the parameters from their gradients (diff) and increments iter().
  virtual void ApplyUpdate() = 0;

 protected:
  string SnapshotFilename(const string& extension);
  string SnapshotToBinaryProto();
  string SnapshotToHDF5();
  void TestAll();
  void Test(int test_net_id = 0);
  virtual void SnapshotSolverState(const string& model_filename) = 0;
  virtual void RestoreSolverStateFromHDF5(const string& state_file) = 0;
  virtual void RestoreSolverStateFromBinaryProto(const string& state_file) = 0;
  /// Logs the outputs of the training net (-1) or of a test net.
  void DisplayOutputBlobs(int net_id);
  /// smoothed_loss_ = mean of the last `average_loss` losses.
  void UpdateSmoothedLoss(Dtype loss, int start_iter, int average_loss);
  // The part of a SolverState that every solver has.
  void StateToProto(const string& model_filename, SolverState* state) const;
  void StateFromProto(const SolverState& state, const string& state_file);

  SolverParameter param_;
  int iter_ = 0;
  int current_step_ = 0;
  shared_ptr<Net<Dtype>> net_;
  vector<shared_ptr<Net<Dtype>>> test_nets_;
  vector<string> test_files_;  // where each is defined; "" for one in the solver's own text
  vector<Callback*> callbacks_;
  vector<Dtype> losses_;  // oldest first
  Dtype smoothed_loss_ = 0;
  ActionCallback action_request_function_;
  bool requested_early_exit_ = false;
  Timer iteration_timer_;
  float iterations_last_ = 0;

 private:
  /// Of the net that is trained; empty where the solver's file has the net itself.
  const string& TrainFile() const { return param_.has_net() ? param_.net() : param_.train_net(); }
  Dtype AccumulateGradients();
  /// Throws where the training has diverged.
  void CheckLoss(Dtype loss) const;
  void CheckWeights() const;
  void LogIteration();
  int ImagesPerIteration() const;

  int snapshot_keep_ = 0;
  int snapshot_iter_ = -1;        // iteration of the last snapshot
  vector<uint64_t> test_passes_;  // per test net: forward passes up to its last complete test
  Progress progress_;

  DISABLE_COPY_AND_ASSIGN(Solver);
};

/// The files in `weights`, whose entries may each be several, separated by commas.
vector<string> WeightFiles(const SolverParameter& param);

/// Gives `param` the seed of the run that wrote a .solverstate, unless it sets random_seed itself:
/// to be called before the solver is made, whose layers take their seed when they are created.
void AdoptSnapshotSeed(const string& state_file, SolverParameter* param);

/// An Error that names the file if a .solverstate, or the .caffemodel that it names, is not what
/// was written: missing, truncated, or with another checksum. Files of upstream's Caffe have none.
void CheckSnapshot(const string& state_file);
void CheckSnapshot(const SolverState& state, const string& state_file);
/// Gives a state that is complete its checksum.
void SetChecksum(SolverState* state);

}  // namespace caffe

#endif  // CAFFE_SOLVER_HPP_

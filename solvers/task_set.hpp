#ifndef METAPERTURB_SOLVERS_TASK_SET_HPP_
#define METAPERTURB_SOLVERS_TASK_SET_HPP_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "solvers/meta_task.hpp"
#include "solvers/process_group.hpp"
#include "util/workers.hpp"

namespace caffe {

/// How a meta-training run uses its machine, or machines. Nothing here changes a result but
/// task_threads, the threads of one task's computations: some of them sum in an order that depends
/// on it.
struct MetaParallelism {
  int tasks_at_once = 1;          // in each process
  int task_threads = 0;           // OpenMP threads of each; 0: OpenMP's setting
  bool bind = false;              // each of them to a CPU of its own
  ProcessGroup* group = nullptr;  // not owned; null: this process alone
};

/// The source tasks of a run, spread over the workers of all its processes. Every task is built,
/// computed and destroyed by its worker; nets of one shape on one worker share the memory of their
/// activations. Where tasks are depends on how long they take, and changes no result. All functions
/// but size() and the const ones are collective.
template <typename Dtype>
class TaskSet {
 public:
  /// What a meta-step did in a task.
  struct Outcome {
    double theta_loss, val_loss;
    double accuracy;  // of the last validation batch; not a number without an Accuracy layer
    double rate;      // theta's learning rate
    double seconds;
    vector<double> gradient;  // of phi, summed over the validation batches
  };
  /// What the processes tell each other with every step: the greatest value of each counts, and
  /// `checksum` has to agree.
  struct Message {
    int request = 0;
    bool display = false;
    uint32_t checksum = 0;
  };

  /// Builds the tasks of `run`. An Error names a task that cannot be built.
  TaskSet(const MetaSolverParameter& run, int64_t seed, const MetaParallelism& how);
  ~TaskSet();

  int size() const { return static_cast<int>(places_.size()); }
  ProcessGroup& group() const { return *group_; }
  /// Null where another process has the task.
  const vector<std::unique_ptr<MetaTask<Dtype>>>& tasks() const { return tasks_; }
  bool IsMine(int task) const { return slots_[places_[task]].rank == group_->rank(); }
  /// What is known of every task, whoever has it.
  const MetaTaskReport& report(int task) const { return reports_[task]; }

  /// From now on all tasks read phi from the memory of `phi`.
  void SharePhi(const Blob<Dtype>& phi);
  /// One meta-step of every task but for phi's own, with `batches` validation batches: the same
  /// outcomes in every process, in order of the tasks. Now and then it begins with Place by the
  /// seconds that the tasks took.
  vector<Outcome> Step(int batches, Message* message);
  /// Spreads the tasks anew by their costs, where that takes more than 5 % off the busiest worker.
  void Place(const vector<double>& costs);
  /// AppendPerturbations of all tasks, in their order.
  Scalars Perturbations();

  /// take(state) for every task in order, in the process of rank 0 alone.
  void ForEachState(const std::function<void(const MetaSolverState::Task&)>& take);
  /// The states of other processes' tasks may be missing but for their names.
  void FromProto(const MetaSolverState& state);

  /// "Time per meta-step: ..." over the steps since tasks were last moved, the first of them left
  /// out; "" where there was no other.
  string TimeLine() const;

 private:
  struct Slot {
    int rank, worker;
  };

  void CountTime(const vector<Outcome>& outcomes, double seconds);
  /// work(t) for those of `which` that are this process's, each on the task's worker.
  void OnWorkers(const std::function<bool(int)>& which, const std::function<void(int)>& work);
  void DropTasks();
  void Build(int task);
  void BuildAll();
  void Report();
  void Move(int task, int place, std::exception_ptr* failure);

  MetaSolverParameter run_;
  const int64_t seed_;
  ProcessGroup alone_;
  ProcessGroup* const group_;
  vector<Slot> slots_;  // all workers of all processes
  vector<int> places_;  // the slot of each task
  vector<MetaTaskReport> reports_;
  const Blob<Dtype>* phi_ = nullptr;
  // Sums over the steps since tasks were last moved; the first, which allocates, does not count.
  struct Times {
    int steps = -1;
    double all = 0, busiest = 0;
    vector<double> tasks;
  } times_;
  Workers workers_;
  NetFiles nets_;
  vector<std::unique_ptr<MetaTask<Dtype>>> tasks_;

  DISABLE_COPY_AND_ASSIGN(TaskSet);
};

}  // namespace caffe

#endif  // METAPERTURB_SOLVERS_TASK_SET_HPP_

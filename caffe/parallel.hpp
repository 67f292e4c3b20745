#ifndef CAFFE_PARALLEL_HPP_
#define CAFFE_PARALLEL_HPP_

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "caffe/solver.hpp"

namespace caffe {

/// The learnable parameters of a solver's net as one number.
template <typename Dtype>
class Params {
 public:
  explicit Params(shared_ptr<Solver<Dtype>> root_solver) {
    for (const Blob<Dtype>* param : root_solver->net()->learnable_params()) size_ += param->count();
  }
  virtual ~Params() {}
  size_t size() const { return size_; }

 protected:
  size_t size_ = 0;

  DISABLE_COPY_AND_ASSIGN(Params);
};

/// Several threads that wait for each other, again and again.
class Meeting {
 public:
  explicit Meeting(int count) : count_(count) {}
  /// Returns when all have called it. Throws Ended, now and from then on, after End.
  void Wait();
  void End();
  struct Ended {};

 private:
  const int count_;
  std::mutex mutex_;
  std::condition_variable all_here_;
  int waiting_ = 0;
  uint64_t round_ = 0;
  bool ended_ = false;
};

/// Synchronous data-parallel training on several GPUs of one process, `caffe train --gpu=0,1`: each
/// GPU has a solver with a net of its own, which takes every gpus.size()-th record of its Data
/// layers and its own batches, so that an iteration has gpus.size() times batch_size images. Before
/// each update the gradients are replaced by their mean over the solvers, added up in order of the
/// GPUs: all make the same update, and a run repeats bit for bit. Tests, snapshots and losses are
/// the root solver's; so are the statistics of batch normalisation that a snapshot has.
///
/// Gradients go through the host's memory: it costs 2 copies of the parameters per GPU and
/// iteration, which is little for networks of some MB and much for VGG-16.
template <typename Dtype>
class DataParallel : public Solver<Dtype>::Callback {
 public:
  /// `root`: made on the calling thread, whose GPU is gpus[0] and whose Caffe::solver_count is
  /// gpus.size(). `restore`: the .solverstate that it was resumed from, or empty.
  DataParallel(shared_ptr<Solver<Dtype>> root, const vector<int>& gpus, const string& restore);
  /// root->Solve() with the others beside it; once. Throws what the root threw, else what the first
  /// of the others threw, as an Error that names its GPU.
  void Solve();

 private:
  class Worker;

  void on_start() override {}
  void on_gradients_ready() override { AverageGradients(0, root_->net().get()); }
  void AverageGradients(int rank, Net<Dtype>* net);
  void RunWorker(int rank);
  void Fail(int rank);
  vector<Blob<Dtype>*> Exchanged(Net<Dtype>* net) const;

  const shared_ptr<Solver<Dtype>> root_;
  const vector<int> gpus_;
  const string restore_;
  SolverParameter worker_param_;
  Meeting meeting_;
  std::mutex mutex_;
  std::exception_ptr failure_;   // of a worker, the first
  vector<vector<Dtype>> parts_;  // gradients of each solver, one parameter after the other
  vector<Dtype> mean_;           // theirs; before the first step the root's parameters
};

}  // namespace caffe

#endif  // CAFFE_PARALLEL_HPP_

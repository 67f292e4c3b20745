#include "caffe/parallel.hpp"

#include <algorithm>

#include "caffe/solver_factory.hpp"
#include "util/threads.hpp"

namespace caffe {

void Meeting::Wait() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (ended_) throw Ended();
  const uint64_t round = round_;
  if (++waiting_ == count_) {
    waiting_ = 0;
    ++round_;
    all_here_.notify_all();
  }
  all_here_.wait(lock, [&] { return round_ != round || ended_; });
  if (round_ == round) throw Ended();
}

void Meeting::End() {
  const std::lock_guard<std::mutex> lock(mutex_);
  ended_ = true;
  all_here_.notify_all();
}

namespace {

// What only the root does.
SolverParameter ParamOfWorkers(const SolverParameter& root) {
  SolverParameter param = root;
  param.clear_test_net();
  param.clear_test_net_param();
  param.clear_test_state();
  param.clear_test_iter();
  param.clear_test_interval();
  param.clear_snapshot();
  param.clear_debug_info();
  param.set_snapshot_after_train(false);
  // Each adds its rank to it.
  param.set_random_seed(static_cast<int64_t>(Caffe::random_seed()));
  return param;
}

template <typename Dtype>
void Gather(const vector<Blob<Dtype>*>& blobs, bool diff, vector<Dtype>* values) {
  values->clear();
  for (const Blob<Dtype>* blob : blobs) {
    const Dtype* from = diff ? blob->cpu_diff() : blob->cpu_data();
    values->insert(values->end(), from, from + blob->count());
  }
}

template <typename Dtype>
void Scatter(const vector<Dtype>& values, bool diff, const vector<Blob<Dtype>*>& blobs) {
  size_t at = 0;
  for (Blob<Dtype>* blob : blobs) {
    std::copy_n(values.begin() + at, blob->count(),
                diff ? blob->mutable_cpu_diff() : blob->mutable_cpu_data());
    at += blob->count();
  }
}

}  // namespace

/// The callback of a solver that is not the root.
template <typename Dtype>
class DataParallel<Dtype>::Worker : public Solver<Dtype>::Callback {
 public:
  Worker(DataParallel* group, int rank, Net<Dtype>* net) : group_(group), rank_(rank), net_(net) {}

 protected:
  void on_start() override {}
  void on_gradients_ready() override { group_->AverageGradients(rank_, net_); }

 private:
  DataParallel* const group_;
  const int rank_;
  Net<Dtype>* const net_;
};

template <typename Dtype>
DataParallel<Dtype>::DataParallel(shared_ptr<Solver<Dtype>> root, const vector<int>& gpus,
                                  const string& restore)
    : root_(root),
      gpus_(gpus),
      restore_(restore),
      worker_param_(ParamOfWorkers(root->param())),
      meeting_(static_cast<int>(gpus.size())),
      parts_(gpus.size()) {
  CHECK_EQ(Caffe::solver_count(), static_cast<int>(gpus.size()));
  CHECK(Caffe::root_solver());
  root_->add_callback(this);
}

// What does not learn has no gradient to exchange, but a clipped norm counts it.
template <typename Dtype>
vector<Blob<Dtype>*> DataParallel<Dtype>::Exchanged(Net<Dtype>* net) const {
  if (worker_param_.clip_gradients() >= 0) return net->learnable_params();
  vector<Blob<Dtype>*> blobs;
  for (size_t i = 0; i < net->learnable_params().size(); ++i) {
    if (net->params_lr()[i] != 0) blobs.push_back(net->learnable_params()[i]);
  }
  return blobs;
}

template <typename Dtype>
void DataParallel<Dtype>::AverageGradients(int rank, Net<Dtype>* net) {
  const vector<Blob<Dtype>*> blobs = Exchanged(net);
  const size_t solvers = gpus_.size();
  Gather(blobs, true, &parts_[rank]);
  const size_t size = parts_[rank].size();
  if (rank == 0) mean_.resize(size);
  meeting_.Wait();
  for (size_t i = size * rank / solvers; i < size * (rank + 1) / solvers; ++i) {
    Dtype sum = 0;
    for (const vector<Dtype>& part : parts_) sum += part[i];
    mean_[i] = sum / static_cast<Dtype>(solvers);
  }
  meeting_.Wait();
  Scatter(mean_, true, blobs);
}

template <typename Dtype>
void DataParallel<Dtype>::RunWorker(int rank) {
  UnbindThread();
  Caffe::SetDevice(gpus_[rank]);
  Caffe::set_mode(Caffe::GPU);
  Caffe::set_solver_count(static_cast<int>(gpus_.size()));
  Caffe::set_solver_rank(rank);
  const shared_ptr<Solver<Dtype>> solver(SolverRegistry<Dtype>::CreateSolver(worker_param_));
  if (!restore_.empty()) solver->Restore(restore_.c_str());
  Worker callback(this, rank, solver->net().get());
  solver->add_callback(&callback);
  meeting_.Wait();  // the root's parameters are in mean_
  Scatter(mean_, false, solver->net()->learnable_params());
  meeting_.Wait();
  solver->net()->ReuseMemory();
  solver->Step(worker_param_.max_iter() - solver->iter());
}

// Called where a worker's exception is caught.
template <typename Dtype>
void DataParallel<Dtype>::Fail(int rank) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_) {
      try {
        throw;
      } catch (const std::exception& e) {
        failure_ =
            std::make_exception_ptr(Error("GPU " + std::to_string(gpus_[rank]) + ": " + e.what()));
      }
    }
  }
  meeting_.End();
}

template <typename Dtype>
void DataParallel<Dtype>::Solve() {
  Gather(root_->net()->learnable_params(), false, &mean_);
  vector<std::thread> threads;
  std::exception_ptr own;
  bool thrown_out = false;  // by a worker's failure
  try {
    for (int rank = 1; rank < static_cast<int>(gpus_.size()); ++rank) {
      threads.emplace_back([this, rank] {
        try {
          RunWorker(rank);
        } catch (const Meeting::Ended&) {
        } catch (const std::exception&) {
          Fail(rank);
        }
      });
    }
    meeting_.Wait();
    meeting_.Wait();
    root_->Solve();
  } catch (const Meeting::Ended&) {
    thrown_out = true;
  } catch (...) {
    own = std::current_exception();
  }
  meeting_.End();
  for (std::thread& thread : threads) thread.join();
  if (own) std::rethrow_exception(own);
  // When the root was told to stop, the others have begun an iteration that does not count.
  if (thrown_out) std::rethrow_exception(failure_);
}

INSTANTIATE_CLASS(Params);
INSTANTIATE_CLASS(DataParallel);

}  // namespace caffe

#ifndef METAPERTURB_SOLVERS_HOST_HPP_
#define METAPERTURB_SOLVERS_HOST_HPP_

#include <algorithm>
#include <functional>
#include <mutex>
#include <random>
#include <string>

#include "caffe/sgd_solvers.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_proto.hpp"
#ifndef METAPERTURB_FOREIGN_HOST
#include "caffe/util/device.hpp"
#endif
#include "layers/host.hpp"
#include "util/error.hpp"
#include "util/progress.hpp"

// What the meta-solver needs beyond the public API of Caffe 1.0: in this project it asks the
// framework; in a Caffe of the user's own it makes up for what that lacks.

namespace caffe {

/// The seed to use where `wanted` is what the user gave: negative means one drawn from the system.
inline int64_t RunSeed(int64_t wanted) {
  if (wanted >= 0) return wanted;
#ifdef METAPERTURB_FOREIGN_HOST
  return std::random_device()();
#else
  return static_cast<int64_t>(Caffe::random_seed());
#endif
}

/// Makes the next forward pass of a net that has made none the one with that number, which fixes
/// its batch and its random numbers. A foreign host can only read its data up to there, and its
/// own random layers (Dropout) start anew.
template <typename Dtype>
void SetNextPass(Net<Dtype>* net, uint64_t pass) {
#ifdef METAPERTURB_FOREIGN_HOST
  for (size_t i = 0; i < net->layers().size(); ++i) {
    Layer<Dtype>* layer = net->layers()[i].get();
    auto* random = dynamic_cast<metaperturb::HostLayer<Dtype>*>(layer);
    if (random) random->set_next_pass(pass);
    if (!net->bottom_vecs()[i].empty()) continue;
    for (uint64_t p = 0; p < pass; ++p) layer->Forward(net->bottom_vecs()[i], net->top_vecs()[i]);
  }
#else
  net->set_next_pass(pass);
#endif
}

/// Runs `work`; an Error from it gets `where` and a colon in front.
template <class Work>
auto Within(const string& where, const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const Error& e) {
    throw Error(where + ": " + e.what());
  }
}

/// What Caffe lets only subclasses of a solver see or, in its older versions, do.
template <typename Dtype>
class SolverAccess : public SGDSolver<Dtype> {
 public:
  static int& Iteration(SGDSolver<Dtype>* solver) { return solver->*(&SolverAccess::iter_); }
  static int& LearningRateStep(SGDSolver<Dtype>* solver) {
    return solver->*(&SolverAccess::current_step_);
  }
  static Dtype LearningRate(SGDSolver<Dtype>* solver) {
    return (solver->*(&SolverAccess::GetLearningRate))();
  }
  static void Update(SGDSolver<Dtype>* solver) { (solver->*(&SolverAccess::ApplyUpdate))(); }
};

/// The mode, and in GPU mode the GPU, of the thread that made it, for other threads to work with.
class ComputeDevice {
 public:
#ifdef METAPERTURB_FOREIGN_HOST
  // Meta-training in a host is on the CPU.
  void Run(const std::function<void()>& work) const {
    work();
  }
#else
  ComputeDevice()
      : mode_(Caffe::mode()), gpu_(mode_ == Caffe::GPU ? Device::Get().Selected() : 0) {}
  /// On the GPU, `work` is in a stream of the calling thread's, so that several threads' kernels
  /// overlap; all of it is done when this returns.
  void Run(const std::function<void()>& work) const {
    if (mode_ == Caffe::GPU) Caffe::SetDevice(gpu_);
    Caffe::set_mode(mode_);
    if (mode_ != Caffe::GPU) return work();
    const OwnStream stream;
    work();
    Device::Get().Synchronize();
  }

 private:
  const Caffe::Brew mode_;
  const int gpu_;
#endif
};

/// Brings the values to where layers read them: after that, several threads may read them at once.
template <typename Dtype>
void MakeReadable(const Blob<Dtype>& blob) {
  blob.cpu_data();
#ifndef METAPERTURB_FOREIGN_HOST
  if (Caffe::mode() == Caffe::GPU) blob.gpu_data();
#endif
}

/// While one lives, and if `quiet`, only warnings and errors are logged: the nets of ten tasks
/// would print twenty tables of layers. --v=1 shows them. Threads may have theirs at the same time.
class QuietLog {
 public:
  explicit QuietLog(bool quiet = true, int least = google::GLOG_WARNING)
      : quiet_(quiet && !VLOG_IS_ON(1)) {
    if (!quiet_) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (count_++ > 0) return;
    before_ = FLAGS_minloglevel;
    FLAGS_minloglevel = std::max(before_, least);
  }
  ~QuietLog() {
    if (!quiet_) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--count_ == 0) FLAGS_minloglevel = before_;
  }

 private:
  const bool quiet_;
  inline static std::mutex mutex_;
  inline static int count_ = 0;
  inline static int before_ = 0;

  DISABLE_COPY_AND_ASSIGN(QuietLog);
};

}  // namespace caffe

#endif  // METAPERTURB_SOLVERS_HOST_HPP_

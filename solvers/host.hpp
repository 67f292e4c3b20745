#ifndef METAPERTURB_SOLVERS_HOST_HPP_
#define METAPERTURB_SOLVERS_HOST_HPP_

#include <string>

#include "caffe/sgd_solvers.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/progress.hpp"
#include "caffe/util/upgrade_proto.hpp"

// What the meta-solver needs beyond the public API of Caffe 1.0: here it asks this project's
// framework; another host supplies the same names.

namespace caffe {

/// The seed to use where `wanted` is what the user gave: negative means one drawn from the system.
inline int64_t RunSeed(int64_t wanted) {
  return wanted >= 0 ? wanted : static_cast<int64_t>(Caffe::random_seed());
}

/// Forward passes made so far, which fix a net's next batch and next random numbers.
template <typename Dtype>
uint64_t NextPass(const Net<Dtype>& net) {
  return net.next_pass();
}
template <typename Dtype>
void SetNextPass(Net<Dtype>* net, uint64_t pass) {
  net->set_next_pass(pass);
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

/// A solver's position in its run, which Caffe lets subclasses only see.
template <typename Dtype>
class SolverPosition : public Solver<Dtype> {
 public:
  static int& Iteration(Solver<Dtype>* solver) { return solver->*(&SolverPosition::iter_); }
  static int& LearningRateStep(Solver<Dtype>* solver) {
    return solver->*(&SolverPosition::current_step_);
  }
};

/// While it lives, and if `quiet`, only warnings and errors are logged: the nets of ten tasks would
/// print twenty tables of layers. --v=1 shows them.
class QuietLog {
 public:
  explicit QuietLog(bool quiet = true) : before_(FLAGS_minloglevel) {
    if (quiet && !VLOG_IS_ON(1) && before_ < google::GLOG_WARNING) {
      FLAGS_minloglevel = google::GLOG_WARNING;
    }
  }
  ~QuietLog() { FLAGS_minloglevel = before_; }

 private:
  const int before_;

  DISABLE_COPY_AND_ASSIGN(QuietLog);
};

}  // namespace caffe

#endif  // METAPERTURB_SOLVERS_HOST_HPP_

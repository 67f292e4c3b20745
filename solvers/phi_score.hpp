#ifndef METAPERTURB_SOLVERS_PHI_SCORE_HPP_
#define METAPERTURB_SOLVERS_PHI_SCORE_HPP_

#include <cmath>
#include <string>

#include "caffe/proto/meta_solver.pb.h"
#include "caffe/solver.hpp"

namespace caffe {

/// How good a phi is for a target task: what the first Accuracy layer of the test net says after
/// training with it, or, without such a layer, the test loss.
struct PhiScore {
  string name;  // of the output, "accuracy" or "loss"
  bool rises;   // whether more is better
  double value;

  /// A difference below a millionth is one of rounding. What is not finite is worse than all else.
  bool IsBetterThan(const PhiScore& other) const {
    if (!std::isfinite(value) || !std::isfinite(other.value)) {
      return std::isfinite(value) && !std::isfinite(other.value);
    }
    const double gain = rises ? value - other.value : other.value - value;
    return gain > 1e-6 * std::abs(other.value);
  }
};

/// Reads the solver of a target task, on which the results of several meta-training runs are
/// compared. Its `net` must have MetaPerturb layers, TRAIN and TEST data that is not among the
/// source tasks' of `run`, and test_iter; an Error names the file and what is missing.
SolverParameter ReadTarget(const string& file, const MetaSolverParameter& run);

/// Trains the target from its start with phi from `phi_file` in all its MetaPerturb layers, then
/// runs its first test net test_iter times. Writes no snapshots. A target without random_seed has
/// seed 1, so that candidates differ in phi alone. `action` may stop it, which *stopped tells.
PhiScore ScorePhi(const SolverParameter& target, const string& phi_file,
                  const ActionCallback& action, bool* stopped);

}  // namespace caffe

#endif  // METAPERTURB_SOLVERS_PHI_SCORE_HPP_

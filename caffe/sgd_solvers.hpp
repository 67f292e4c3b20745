#ifndef CAFFE_SGD_SOLVERS_HPP_
#define CAFFE_SGD_SOLVERS_HPP_

#include <string>
#include <vector>

#include "caffe/solver.hpp"

namespace caffe {

/// Stochastic gradient descent with momentum, and the frame of the other solvers. Of the gradient g
/// that iter_size batches added up, an update makes, parameter by parameter,
///  - clipping: g *= c / |g|, |g| over all parameters, where it is above c = clip_gradients > 0
///  - normalisation: g /= iter_size
///  - regularisation, d = weight_decay * decay_mult: L2: g += d w; L1: g += d sign(w); L2-SP:
///    g += l2_sp_decay * decay_mult (w - w0) for the parameters of layers that the files of
///    `weights` hold, w0 being their values there, and as L2 for the others
///  - the step: h = momentum h + r g; w -= h; r = learning rate * lr_mult
/// in this order. A parameter with lr_mult 0 is left alone. The learning rate at iteration i, with
/// gamma, power and stepsize from SolverParameter, is base_lr times
///   fixed 1;  step gamma^floor(i / stepsize);  exp gamma^i;  inv (1 + gamma i)^-power;
///   multistep gamma^(number of stepvalues <= i);  poly (1 - i / max_iter)^power;
///   sigmoid 1 / (1 + exp(-gamma (i - stepsize))).
/// L2-SP is that of Li, Grandvalet, Davoine, "Explicit inductive bias for transfer learning with
/// convolutional networks" (ICML 2018, equation 2), with alpha = l2_sp_decay = 0.1 and beta =
/// weight_decay. Without `weights` it is an Error; a resumed run needs them, too.
template <typename Dtype>
class SGDSolver : public Solver<Dtype> {
 public:
  explicit SGDSolver(const SolverParameter& param) : Solver<Dtype>(param) { PreSolve(); }
  explicit SGDSolver(const string& param_file) : Solver<Dtype>(param_file) { PreSolve(); }
  const char* type() const override { return "SGD"; }

  /// What the solver remembers, one blob per learnable parameter; AdaDelta and Adam: twice as many.
  const vector<shared_ptr<Blob<Dtype>>>& history() { return history_; }

  void ApplyUpdate() override;
  Dtype GetLearningRate();

 protected:
  void PreSolve();
  /// Appends one zero history blob per learnable parameter.
  void AddHistory();
  /// Keeps the present values of the parameters that the files of `weights` hold: L2-SP's w0.
  void KeepStartingPoint();
  virtual void Normalize(int param_id);
  virtual void Regularize(int param_id);
  /// Turns the gradient in the parameter's diff into the amount to subtract from it.
  virtual void ComputeUpdateValue(int param_id, Dtype rate);
  virtual void ClipGradients();
  void ScaleDiff(Dtype factor, Blob<Dtype>* param);
  bool IsOfThisLibrary() const;
  void UpdateOnCpu(Dtype rate);
  void UpdateOnGpu(Dtype rate);
  void SnapshotSolverState(const string& model_filename) override;
  virtual void SnapshotSolverStateToBinaryProto(const string& model_filename);
  virtual void SnapshotSolverStateToHDF5(const string& model_filename);
  void RestoreSolverStateFromHDF5(const string& state_file) override;
  void RestoreSolverStateFromBinaryProto(const string& state_file) override;

  /// update_ and temp_ are for subclasses; they are not part of snapshots.
  vector<shared_ptr<Blob<Dtype>>> history_, update_, temp_;
  /// L2-SP's w0, per learnable parameter; null for those that did not begin with stored weights.
  vector<shared_ptr<Blob<Dtype>>> start_;

  DISABLE_COPY_AND_ASSIGN(SGDSolver);
};

/// h' = momentum h + r g;  w -= (1 + momentum) h' - momentum h.
template <typename Dtype>
class NesterovSolver : public SGDSolver<Dtype> {
 public:
  explicit NesterovSolver(const SolverParameter& param) : SGDSolver<Dtype>(param) {}
  explicit NesterovSolver(const string& param_file) : SGDSolver<Dtype>(param_file) {}
  const char* type() const override { return "Nesterov"; }

 protected:
  void ComputeUpdateValue(int param_id, Dtype rate) override;

  DISABLE_COPY_AND_ASSIGN(NesterovSolver);
};

/// h += g^2;  w -= r g / (sqrt(h) + delta). Takes no momentum.
template <typename Dtype>
class AdaGradSolver : public SGDSolver<Dtype> {
 public:
  explicit AdaGradSolver(const SolverParameter& param) : SGDSolver<Dtype>(param) { Check(); }
  explicit AdaGradSolver(const string& param_file) : SGDSolver<Dtype>(param_file) { Check(); }
  const char* type() const override { return "AdaGrad"; }

 protected:
  void ComputeUpdateValue(int param_id, Dtype rate) override;
  void Check() const;

  DISABLE_COPY_AND_ASSIGN(AdaGradSolver);
};

/// h = rms_decay h + (1 - rms_decay) g^2;  w -= r g / (sqrt(h) + delta). Takes no momentum.
template <typename Dtype>
class RMSPropSolver : public SGDSolver<Dtype> {
 public:
  explicit RMSPropSolver(const SolverParameter& param) : SGDSolver<Dtype>(param) { Check(); }
  explicit RMSPropSolver(const string& param_file) : SGDSolver<Dtype>(param_file) { Check(); }
  const char* type() const override { return "RMSProp"; }

 protected:
  void ComputeUpdateValue(int param_id, Dtype rate) override;
  void Check() const;

  DISABLE_COPY_AND_ASSIGN(RMSPropSolver);
};

/// With mu = momentum, h the history of gradients and u that of updates:
///   h = mu h + (1 - mu) g^2;  s = g sqrt((u + delta) / (h + delta));  u = mu u + (1 - mu) s^2;
///   w -= r s.
template <typename Dtype>
class AdaDeltaSolver : public SGDSolver<Dtype> {
 public:
  explicit AdaDeltaSolver(const SolverParameter& param) : SGDSolver<Dtype>(param) {
    this->AddHistory();
  }
  explicit AdaDeltaSolver(const string& param_file) : SGDSolver<Dtype>(param_file) {
    this->AddHistory();
  }
  const char* type() const override { return "AdaDelta"; }

 protected:
  void ComputeUpdateValue(int param_id, Dtype rate) override;

  DISABLE_COPY_AND_ASSIGN(AdaDeltaSolver);
};

/// Kingma and Ba, "Adam: a method for stochastic optimization" (ICLR 2015). With b1 = momentum,
/// b2 = momentum2 and t = 1 in the first iteration:
///   m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
///   w -= r sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + delta).
template <typename Dtype>
class AdamSolver : public SGDSolver<Dtype> {
 public:
  explicit AdamSolver(const SolverParameter& param) : SGDSolver<Dtype>(param) {
    this->AddHistory();
  }
  explicit AdamSolver(const string& param_file) : SGDSolver<Dtype>(param_file) {
    this->AddHistory();
  }
  const char* type() const override { return "Adam"; }

 protected:
  void ComputeUpdateValue(int param_id, Dtype rate) override;

  DISABLE_COPY_AND_ASSIGN(AdamSolver);
};

}  // namespace caffe

#endif  // CAFFE_SGD_SOLVERS_HPP_

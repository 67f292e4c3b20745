#ifndef METAPERTURB_SOLVERS_LOOKAHEAD_HPP_
#define METAPERTURB_SOLVERS_LOOKAHEAD_HPP_

#include <memory>
#include <string>
#include <vector>

#include "caffe/net.hpp"

namespace caffe {

/// The gradient of phi through one virtual training step (Liu et al., DARTS, ICLR 2019, equations 7
/// and 8, for one task). With theta' = theta - xi d L_train(theta, phi) / d theta,
///     d L_val(theta', phi) / d phi = g_val - xi d^2 L_train(theta, phi) / d phi d theta . v
/// where g_val is the partial derivative by phi at (theta', phi) and v = d L_val(theta', phi) /
/// d theta'. The product of the second derivative with v is a central difference,
///     (d L_train(theta + e v, phi) / d phi - d L_train(theta - e v, phi) / d phi) / (2 e),
/// e = 0.01 / |v| (1e-5 / |v| in double), on the same training batches with the same random
/// numbers. xi is the rate times the parameter's lr_mult. Weight decay is no part of L_train, and
/// running statistics count as constants. One meta-step is to call TrainPass, Advance, then the
/// validation net's passes, then AddImplicitTerm.
template <typename Dtype>
class Lookahead {
 public:
  /// `theta_net` and `val_net` (in which theta gets gradients) share their weights and live longer
  /// than this; `replay` (ReplayDefinition) is built here with the seed of the theta net, whose
  /// random numbers it repeats. An Error names a data layer that other layers come before.
  Lookahead(Net<Dtype>* theta_net, Net<Dtype>* val_net, const NetParameter& replay,
            const string& phi_param, int64_t seed);

  Net<Dtype>& replay_net() const { return *replay_; }

  /// Forward and backward passes of the theta net, the first of them with number `pass`; its
  /// gradient sums over them. Keeps the batches. Returns the sum of the losses.
  double TrainPass(int batches, uint64_t pass);
  /// Moves theta to theta'.
  void Advance(Dtype rate);
  /// Moves theta back and subtracts the implicit term from `gradient`, which is g_val. That, like
  /// v, may be a sum over several validation batches.
  void AddImplicitTerm(vector<double>* gradient);

 private:
  struct Weights {  // a blob of theta
    Blob<Dtype>* blob;
    const Blob<Dtype>* val;  // where the validation net has its gradient
    Dtype rate;              // lr_mult
    vector<Dtype> start;     // theta
  };

  /// d L_train / d phi at theta + step v, summed over the kept batches.
  vector<double> TrainGradient(double step);

  Net<Dtype>* const theta_net_;
  std::unique_ptr<Net<Dtype>> replay_;
  int sources_ = 0;  // leading layers that read data
  vector<Weights> theta_;
  Blob<Dtype>* phi_;  // the replay net's
  uint64_t first_pass_ = 0;
  vector<vector<Dtype>> counts_;  // PassCounter's of the theta net, before the first
  vector<vector<std::unique_ptr<Blob<Dtype>>>> batches_;
  int kept_ = 0;  // of them in this step
  Dtype rate_ = 0;

  DISABLE_COPY_AND_ASSIGN(Lookahead);
};

}  // namespace caffe

#endif  // METAPERTURB_SOLVERS_LOOKAHEAD_HPP_

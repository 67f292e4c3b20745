#include "caffe/sgd_solvers.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <typeinfo>
#include <utility>

#include "caffe/solvers/apply_rule.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/math_functions.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "util/nearest_name.hpp"

namespace caffe {

template <typename Dtype>
void SGDSolver<Dtype>::PreSolve() {
  const SolverParameter& param = this->param_;
  const string& type = param.regularization_type();
  ENFORCE(type == "L2" || type == "L1" || type == "L2-SP")
      << "unknown regularization_type '" << type << "'; L2, L1 or L2-SP";
  if (!param.has_base_lr()) LOG(WARNING) << "base_lr is not set: the learning rate is 0";
  if (param.lr_policy() == "multistep" && param.stepvalue_size() == 0) {
    LOG(WARNING) << "lr_policy 'multistep' without stepvalue: the learning rate does not change";
  }
  // Finds a policy that is unknown, or lacks a parameter, before training.
  if (param.has_lr_policy()) GetLearningRate();
  history_.clear();
  update_.clear();
  temp_.clear();
  AddHistory();
  for (const Blob<Dtype>* blob : this->net_->learnable_params()) {
    update_.emplace_back(new Blob<Dtype>(blob->shape()));
    temp_.emplace_back(new Blob<Dtype>(blob->shape()));
  }
  if (type == "L2-SP") {
    KeepStartingPoint();
  } else if (this->param_.has_l2_sp_decay()) {
    LOG(WARNING) << "l2_sp_decay has no effect without regularization_type: 'L2-SP'";
  }
}

template <typename Dtype>
void SGDSolver<Dtype>::AddHistory() {
  for (const Blob<Dtype>* blob : this->net_->learnable_params()) {
    history_.emplace_back(new Blob<Dtype>(blob->shape()));
  }
}

template <typename Dtype>
void SGDSolver<Dtype>::KeepStartingPoint() {
  const vector<string> files = WeightFiles(this->param_);
  ENFORCE(!files.empty())
      << "regularization_type 'L2-SP' needs the weights that the training began "
         "with: `weights` in the solver, or --weights; a resumed run does, too";
  ENFORCE(this->param_.l2_sp_decay() >= 0) << "l2_sp_decay is " << this->param_.l2_sp_decay();
  set<string> stored;
  for (const string& file : files) {
    NetParameter net;
    ReadNetParamsFromBinaryFileOrDie(file, &net);
    for (const LayerParameter& layer : net.layer()) {
      if (layer.blobs_size() > 0) stored.insert(layer.name());
    }
  }
  const auto& params = this->net_->learnable_params();
  map<const SyncedMemory*, size_t> index;  // that of a shared parameter is found by its memory
  for (size_t i = 0; i < params.size(); ++i) index[params[i]->data().get()] = i;
  start_.assign(params.size(), nullptr);
  for (size_t i = 0; i < this->net_->layers().size(); ++i) {
    if (!stored.count(this->net_->layer_names()[i])) continue;
    for (const auto& blob : this->net_->layers()[i]->blobs()) {
      const auto found = index.find(blob->data().get());
      if (found == index.end()) continue;
      auto& start = start_[found->second];
      start.reset(new Blob<Dtype>());
      start->CopyFrom(*blob, false, true);
    }
  }
}

template <typename Dtype>
Dtype SGDSolver<Dtype>::GetLearningRate() {
  const SolverParameter& param = this->param_;
  const string& policy = param.lr_policy();
  const double base = param.base_lr(), gamma = param.gamma(), power = param.power();
  const double iter = this->iter_, stepsize = param.stepsize();
  ENFORCE(gamma >= 0) << "gamma is " << gamma;
  ENFORCE((policy != "step" && policy != "sigmoid") || stepsize > 0)
      << "lr_policy '" << policy << "' needs a stepsize above 0, not " << stepsize;
  ENFORCE(policy != "poly" || param.max_iter() > 0)
      << "lr_policy 'poly' needs a max_iter above 0, not " << param.max_iter();
  // The formats' defaults, 0, would be a rate of 0, or one that does not change.
  static const set<string> take_gamma = {"step", "exp", "inv", "multistep", "sigmoid"};
  ENFORCE(param.has_gamma() || !take_gamma.count(policy))
      << "lr_policy '" << policy << "' needs gamma";
  ENFORCE(param.has_power() || (policy != "inv" && policy != "poly"))
      << "lr_policy '" << policy << "' needs power";
  double rate = base;
  if (policy == "step") {
    this->current_step_ = this->iter_ / param.stepsize();
    rate = base * std::pow(gamma, this->current_step_);
  } else if (policy == "exp") {
    rate = base * std::pow(gamma, iter);
  } else if (policy == "inv") {
    rate = base * std::pow(1 + gamma * iter, -power);
  } else if (policy == "multistep") {
    int step = 0;
    while (step < param.stepvalue_size() && this->iter_ >= param.stepvalue(step)) ++step;
    if (step != this->current_step_) {
      LOG_IF(INFO, Caffe::root_solver())
          << "MultiStep Status: Iteration " << this->iter_ << ", step = " << step;
    }
    this->current_step_ = step;
    rate = base * std::pow(gamma, step);
  } else if (policy == "poly") {
    rate = base * std::pow(std::max(0.0, 1 - iter / param.max_iter()), power);
  } else if (policy == "sigmoid") {
    rate = base / (1 + std::exp(-gamma * (iter - stepsize)));
  } else {
    ENFORCE(!policy.empty()) << "lr_policy is not given";
    ENFORCE(policy == "fixed") << "unknown lr_policy '" << policy << "'"
                               << DidYouMean(policy, {"fixed", "step", "exp", "inv", "multistep",
                                                      "poly", "sigmoid"});
  }
  return static_cast<Dtype>(rate);
}

template <typename Dtype>
void SGDSolver<Dtype>::ClipGradients() {
  const Dtype limit = this->param_.clip_gradients();
  if (limit < 0) return;
  const auto& params = this->net_->learnable_params();
  Dtype sum = 0;
  if (Caffe::mode() == Caffe::GPU) {
    vector<std::pair<const Dtype*, int>> diffs;
    for (const Blob<Dtype>* param : params) diffs.emplace_back(param->gpu_diff(), param->count());
    sum = GpuSumOfSquares(diffs);
  } else {
    for (const Blob<Dtype>* param : params) sum += param->sumsq_diff();
  }
  const Dtype norm = std::sqrt(sum);
  if (!(norm > limit)) return;
  VLOG(1) << "Gradient of norm " << norm << " is scaled to " << limit;
  RulesTogether together;
  for (Blob<Dtype>* param : params) ScaleDiff(limit / norm, param);
  together.Start();
}

template <typename Dtype>
void SGDSolver<Dtype>::ScaleDiff(Dtype factor, Blob<Dtype>* param) {
  Apply(param->count(), Scale<Dtype>{factor, MutableDiffOfMode(param)});
}

template <typename Dtype>
void SGDSolver<Dtype>::ApplyUpdate() {
  const Dtype rate = GetLearningRate();
  if (this->param_.display() && this->iter_ % this->param_.display() == 0 && Caffe::root_solver()) {
    LOG(INFO) << "Iteration " << this->iter_ << ", lr = " << rate;
  }
  ClipGradients();
  // Not Net::Update: what does not learn may be read by other threads (a phi shared by tasks), and
  // the counters among it would travel to the GPU and back in every step.
  if (Caffe::mode() == Caffe::GPU) {
    UpdateOnGpu(rate);
  } else {
    UpdateOnCpu(rate);
  }
  ++this->iter_;
}

// What a subclass of the user's does after ours, ours must have done.
template <typename Dtype>
bool SGDSolver<Dtype>::IsOfThisLibrary() const {
  const std::type_info& type = typeid(*this);
  return type == typeid(SGDSolver<Dtype>) || type == typeid(NesterovSolver<Dtype>) ||
         type == typeid(AdaGradSolver<Dtype>) || type == typeid(RMSPropSolver<Dtype>) ||
         type == typeid(AdaDeltaSolver<Dtype>) || type == typeid(AdamSolver<Dtype>);
}

// Parameter by parameter, in parts that stay in the cache.
template <typename Dtype>
void SGDSolver<Dtype>::UpdateOnCpu(Dtype rate) {
  const auto& params = this->net_->learnable_params();
  const bool in_parts = IsOfThisLibrary();
  for (int i = 0; i < static_cast<int>(params.size()); ++i) {
    if (this->net_->params_lr()[i] == 0) {
      caffe_set(params[i]->count(), Dtype(0), params[i]->overwrite_cpu_diff(1));
      continue;
    }
    std::optional<RulesInParts> parts;
    if (in_parts) parts.emplace();
    Normalize(i);
    Regularize(i);
    ComputeUpdateValue(i, rate);
    ApplyOnCpu(params[i]->count(),
               Subtract<Dtype>{params[i]->cpu_diff(), params[i]->mutable_cpu_data()});
    if (in_parts) parts->Run();
  }
}

// Each part for all parameters, so that few kernels are started.
template <typename Dtype>
void SGDSolver<Dtype>::UpdateOnGpu(Dtype rate) {
  const auto& params = this->net_->learnable_params();
  const bool together = IsOfThisLibrary();
  vector<int> learning;
  {
    RulesTogether rules;
    for (int i = 0; i < static_cast<int>(params.size()); ++i) {
      if (this->net_->params_lr()[i] != 0) {
        learning.push_back(i);
      } else {
        ApplyOnGpu(params[i]->count(), Clear<Dtype>{params[i]->overwrite_gpu_diff()});
      }
    }
    rules.Start();
  }
  const auto for_all = [&](bool keep, const std::function<void(int)>& part) {
    if (!keep) {
      for (int i : learning) part(i);
      return;
    }
    RulesTogether rules;
    for (int i : learning) part(i);
    rules.Start();
  };
  for_all(together, [&](int i) { Normalize(i); });
  for_all(together, [&](int i) { Regularize(i); });
  for_all(together, [&](int i) { ComputeUpdateValue(i, rate); });
  for_all(true, [&](int i) {
    ApplyOnGpu(params[i]->count(),
               Subtract<Dtype>{params[i]->gpu_diff(), params[i]->mutable_gpu_data()});
  });
}

template <typename Dtype>
void SGDSolver<Dtype>::Normalize(int param_id) {
  if (this->param_.iter_size() == 1) return;
  ScaleDiff(Dtype(1) / this->param_.iter_size(), this->net_->learnable_params()[param_id]);
}

template <typename Dtype>
void SGDSolver<Dtype>::Regularize(int param_id) {
  const Blob<Dtype>* start = start_.empty() ? nullptr : start_[param_id].get();
  const Dtype weight_decay = start ? this->param_.l2_sp_decay() : this->param_.weight_decay();
  const Dtype decay = weight_decay * this->net_->params_weight_decay()[param_id];
  if (decay == 0) return;
  Blob<Dtype>* param = this->net_->learnable_params()[param_id];
  const Dtype* w = DataOfMode(*param);
  Dtype* g = MutableDiffOfMode(param);
  if (start) {
    Apply(param->count(), DecayTowards<Dtype>{decay, w, DataOfMode(*start), g});
  } else if (this->param_.regularization_type() == "L1") {
    Apply(param->count(), DecayL1<Dtype>{decay, w, g});
  } else {
    Apply(param->count(), DecayL2<Dtype>{decay, w, g});
  }
}

template <typename Dtype>
void SGDSolver<Dtype>::ComputeUpdateValue(int param_id, Dtype rate) {
  Blob<Dtype>* param = this->net_->learnable_params()[param_id];
  const Dtype r = rate * this->net_->params_lr()[param_id];
  const Dtype momentum = this->param_.momentum();
  Apply(param->count(), SGDStep<Dtype>{r, momentum, MutableDiffOfMode(param),
                                       MutableDataOfMode(history_[param_id].get())});
}

template <typename Dtype>
void SGDSolver<Dtype>::SnapshotSolverState(const string& model_filename) {
  if (this->param_.snapshot_format() == SolverParameter::HDF5) {
    SnapshotSolverStateToHDF5(model_filename);
  } else {
    SnapshotSolverStateToBinaryProto(model_filename);
  }
}

template <typename Dtype>
void SGDSolver<Dtype>::SnapshotSolverStateToBinaryProto(const string& model_filename) {
  SolverState state;
  this->StateToProto(model_filename, &state);
  for (const auto& blob : history_) blob->ToProto(state.add_history());
  SetChecksum(&state);
  const string filename = this->SnapshotFilename(".solverstate");
  LOG(INFO) << "Snapshotting solver state to binary proto file " << filename;
  WriteProtoToBinaryFile(state, filename);
}

template <typename Dtype>
void SGDSolver<Dtype>::SnapshotSolverStateToHDF5(const string&) {
  THROW_ERROR << this->SnapshotFilename(".solverstate.h5") << ": HDF5 snapshots are not supported";
}

template <typename Dtype>
void SGDSolver<Dtype>::RestoreSolverStateFromHDF5(const string& state_file) {
  THROW_ERROR << state_file << ": HDF5 snapshots are not supported; use .solverstate";
}

template <typename Dtype>
void SGDSolver<Dtype>::RestoreSolverStateFromBinaryProto(const string& state_file) {
  SolverState state;
  ReadProtoFromBinaryFileOrDie(state_file, &state);
  ENFORCE(state.has_iter()) << state_file << ": is not a .solverstate file: it has no iteration";
  CheckSnapshot(state, state_file);
  ENFORCE(state.history_size() == static_cast<int>(history_.size()))
      << state_file << ": has " << state.history_size() << " history blobs where solver "
      << this->type() << " and the net need " << history_.size();
  for (size_t i = 0; i < history_.size(); ++i) {
    const BlobProto& stored = state.history(static_cast<int>(i));
    ENFORCE(history_[i]->ShapeEquals(stored))
        << state_file << ": history blob " << i << " does not have the shape "
        << history_[i]->shape_string() << " of its parameter";
    ENFORCE(stored.data_size() + stored.double_data_size() == history_[i]->count())
        << state_file << ": history blob " << i << " has "
        << stored.data_size() + stored.double_data_size() << " values, not "
        << history_[i]->count();
  }
  this->StateFromProto(state, state_file);
  for (size_t i = 0; i < history_.size(); ++i) {
    history_[i]->FromProto(state.history(static_cast<int>(i)), false);
  }
}

INSTANTIATE_CLASS(SGDSolver);
REGISTER_SOLVER_CLASS(SGD);

}  // namespace caffe

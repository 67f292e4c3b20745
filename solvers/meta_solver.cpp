#include "solvers/meta_solver.hpp"

#include <algorithm>
#include <set>

#include "solvers/host.hpp"
#include "util/checksum.hpp"

namespace caffe {

namespace {

// A net whose only parameter is phi, so that any solver can be phi's optimiser. It is never run.
NetParameter PhiNet(const vector<int>& shape) {
  NetParameter net;
  net.set_name("phi");
  LayerParameter* input = net.add_layer();
  input->set_name("input");
  input->set_type("Input");
  input->add_top("input");
  BlobShape* blob_shape = input->mutable_input_param()->add_shape();
  for (int extent : shape) blob_shape->add_dim(extent);
  LayerParameter* phi = net.add_layer();
  phi->set_name("phi");
  phi->set_type("Scale");
  phi->add_bottom("input");
  phi->add_top("output");
  ScaleParameter* param = phi->mutable_scale_param();
  param->set_axis(0);
  param->set_num_axes(-1);
  param->mutable_filler()->set_type("gaussian");
  param->mutable_filler()->set_std(0.01f);
  return net;
}

// What processes ask each other for; the greatest counts.
enum { kSnapshot = 1, kStop = 2 };

int64_t AgreedSeed(const MetaSolverParameter& param, const MetaParallelism& how) {
  const int64_t seed = RunSeed(param.random_seed());
  return how.group ? std::stoll(how.group->AllGather(std::to_string(seed))[0]) : seed;
}

double Mean(const vector<double>& values) {
  double sum = 0;
  for (double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

template <typename Dtype>
double Norm(const Dtype* values, int count) {
  double sum = 0;
  for (int i = 0; i < count; ++i) sum += static_cast<double>(values[i]) * values[i];
  return std::sqrt(sum);
}

}  // namespace

template <typename Dtype>
MetaSolver<Dtype>::MetaSolver(const MetaSolverParameter& param, const MetaParallelism& how)
    : param_(param), seed_(AgreedSeed(param, how)), tasks_(Checked(how), seed_, how) {
  if (param_.has_snapshot_prefix() || param_.snapshot() > 0) CheckSnapshotPrefix();
  MakePhi();
  for (int t = 0; t < tasks_.size(); ++t) {
    LOG(INFO) << "Task '" << tasks_.report(t).name() << "': " << tasks_.report(t).description();
  }
}

template <typename Dtype>
const MetaSolverParameter& MetaSolver<Dtype>::Checked(const MetaParallelism& how) const {
  ProcessGroup alone;
  (how.group ? how.group : &alone)->Together([this] { Check(); });
  return param_;
}

template <typename Dtype>
void MetaSolver<Dtype>::Check() const {
  ENFORCE(param_.task_size() > 0) << "no task is given; add task { ... }";
  ENFORCE(param_.max_iter() > 0) << "max_iter is not given or 0";
  ENFORCE(param_.max_iter() <= INT_MAX) << "max_iter is " << param_.max_iter();
  ENFORCE(param_.average_loss() > 0) << "average_loss is 0";
  ENFORCE(!param_.phi_param().empty()) << "phi_param is empty";
  ENFORCE(param_.lookahead_rate() >= 0) << "lookahead_rate is " << param_.lookahead_rate();
  if (param_.has_lookahead_rate() && param_.bilevel() != MetaSolverParameter::LOOKAHEAD) {
    LOG(WARNING) << "lookahead_rate has no effect without bilevel: LOOKAHEAD";
  }
  std::set<string> names;
  double weights = 0;
  for (int t = 0; t < param_.task_size(); ++t) {
    const string name = TaskName(param_, t);
    ENFORCE(names.insert(name).second) << "two tasks have the name '" << name << "'";
    const float weight = param_.task(t).weight();
    ENFORCE(weight >= 0 && std::isfinite(weight)) << "task '" << name << "': weight is " << weight;
    weights += weight;
  }
  ENFORCE(weights > 0) << "every task has weight 0";
  Within("phi", [&] { CheckOptimiser(param_.phi()); });
  bool common_checked = false;
  for (int t = 0; t < param_.task_size(); ++t) {
    const bool own = param_.task(t).has_theta();
    if (!own && common_checked) continue;
    common_checked |= !own;
    const string where = own ? "task '" + TaskName(param_, t) + "': " : "";
    Within(where + "theta", [&] { CheckOptimiser(ThetaOptimiser(param_, param_.task(t))); });
  }
}

template <typename Dtype>
void MetaSolver<Dtype>::CheckOptimiser(const SolverParameter& optimiser) const {
  ENFORCE(optimiser.has_base_lr()) << "base_lr is not given";
  // Finds an unknown type or learning-rate policy before a task's net would be blamed for it.
  const QuietLog quiet;
  SolverParameter param = optimiser;  // without the weights, which are another net's
  param.set_regularization_type("L2");
  const auto* weights = SolverParameter::descriptor()->FindFieldByName("weights");
  if (weights)
    param.GetReflection()->ClearField(&param, weights);  // older Caffes have no such field
  SolverAccess<Dtype>::LearningRate(MakeSolver<Dtype>(param, PhiNet({1}), param_, seed_).get());
}

template <typename Dtype>
void MetaSolver<Dtype>::MakePhi() {
  Blob<Dtype> first;
  first.FromProto(tasks_.report(0).phi(), true);
  Within("phi", [&] {
    const QuietLog quiet;
    phi_solver_ = MakeSolver<Dtype>(param_.phi(), PhiNet(first.shape()), param_, seed_);
  });
  phi_ = phi_solver_->net()->learnable_params()[0];
  if (!tasks_.report(0).phi_file().empty()) phi_->CopyFrom(first);
  tasks_.SharePhi(*phi_);
}

template <typename Dtype>
void MetaSolver<Dtype>::MetaStep() {
  const int batches = phi_solver_->param().iter_size();
  typename TaskSet<Dtype>::Message message;
  message.request = wanted_ == SolverAction::STOP       ? kStop
                    : wanted_ == SolverAction::SNAPSHOT ? kSnapshot
                                                        : 0;
  message.display = leads() && progress_.IsDue();
  message.checksum = Crc32(phi_->cpu_data(), phi_->count() * sizeof(Dtype));
  const auto outcomes = tasks_.Step(batches, &message);
  agreed_ = message.request == kStop       ? SolverAction::STOP
            : message.request == kSnapshot ? SolverAction::SNAPSHOT
                                           : SolverAction::NONE;
  wanted_ = SolverAction::NONE;

  Losses losses;
  accuracies_.clear();
  theta_rate_ = outcomes[0].rate;
  vector<double> gradient(phi_->count(), 0.0);
  double weights = 0;
  for (int t = 0; t < tasks_.size(); ++t) {
    losses.theta.push_back(outcomes[t].theta_loss);
    losses.val.push_back(outcomes[t].val_loss);
    accuracies_.push_back(outcomes[t].accuracy);
    const double weight = param_.task(t).weight();
    for (size_t i = 0; i < gradient.size(); ++i) gradient[i] += weight * outcomes[t].gradient[i];
    weights += weight;
  }
  Dtype* diff = phi_->mutable_cpu_diff();
  for (size_t i = 0; i < gradient.size(); ++i) diff[i] = static_cast<Dtype>(gradient[i] / weights);
  phi_gradient_norm_ = Norm(diff, phi_->count()) / batches;
  if (!std::isfinite(phi_gradient_norm_)) {
    tasks_.group().Together(
        [&] { THROW_ERROR << "the gradient of phi is not finite at meta-iteration " << iter_; });
  }
  losses_.push_back(losses);
  while (losses_.size() > param_.average_loss()) losses_.pop_front();
  const int interval = static_cast<int>(param_.display());
  const bool due = interval > 0 && iter_ % interval == 0;
  if (message.display || due) Log(due || interval == 0);
  SolverAccess<Dtype>::Update(phi_solver_.get());
  ++iter_;
  if (leads()) progress_.DrawBar(iter_);
}

template <typename Dtype>
void MetaSolver<Dtype>::Log(bool metrics) {
  if (leads()) progress_.ClearBar();
  Losses mean = losses_.front();
  for (int t = 0; t < tasks_.size(); ++t) {
    mean.theta[t] = mean.val[t] = 0;
    for (const Losses& losses : losses_) {
      mean.theta[t] += losses.theta[t] / static_cast<double>(losses_.size());
      mean.val[t] += losses.val[t] / static_cast<double>(losses_.size());
    }
  }
  const float seconds = timer_.Seconds();
  const int steps = iter_ - logged_iter_;
  LOG(INFO) << "Meta-iteration " << iter_ << " (" << (seconds > 0 ? steps / seconds : 0.0f)
            << " iter/s, " << seconds << "s/" << steps
            << " iters), theta loss = " << Mean(mean.theta) << ", val loss = " << Mean(mean.val)
            << ", |grad phi| = " << phi_gradient_norm_
            << ", |phi| = " << Norm(phi_->cpu_data(), phi_->count()) << ", lr = " << theta_rate_
            << ", phi lr = " << SolverAccess<Dtype>::LearningRate(phi_solver_.get());
  for (int t = 0; t < tasks_.size(); ++t) {
    ostringstream accuracy;
    if (!std::isnan(accuracies_[t])) accuracy << ", val accuracy = " << accuracies_[t];
    LOG(INFO) << "    Task '" << tasks_.report(t).name() << "': train loss = " << mean.theta[t]
              << ", val loss = " << mean.val[t] << accuracy.str();
  }
  const string progress = progress_.Line(iter_);
  if (!progress.empty()) LOG(INFO) << "    " << progress;
  if (metrics && (!param_.csv().empty() || !param_.tensorboard().empty())) WriteMetrics(mean);
  progress_.Printed();
  timer_.Start();
  logged_iter_ = iter_;
}

template <typename Dtype>
void MetaSolver<Dtype>::WriteMetrics(const Losses& mean) {
  Scalars scalars = {{"theta_loss", Mean(mean.theta)},
                     {"val_loss", Mean(mean.val)},
                     {"phi_gradient_norm", phi_gradient_norm_},
                     {"phi_norm", Norm(phi_->cpu_data(), phi_->count())},
                     {"theta_lr", theta_rate_},
                     {"phi_lr", SolverAccess<Dtype>::LearningRate(phi_solver_.get())}};
  for (int t = 0; t < tasks_.size(); ++t) {
    const string& name = tasks_.report(t).name();
    scalars.emplace_back(name + "/train_loss", mean.theta[t]);
    scalars.emplace_back(name + "/val_loss", mean.val[t]);
    if (!std::isnan(accuracies_[t])) scalars.emplace_back(name + "/val_accuracy", accuracies_[t]);
  }
  const Scalars perturbations = tasks_.Perturbations();
  scalars.insert(scalars.end(), perturbations.begin(), perturbations.end());
  tasks_.group().Together([&] {
    if (leads()) metrics_.Write(iter_, scalars);
  });
}

template <typename Dtype>
void MetaSolver<Dtype>::StartClocks(int last) {
  int images = 0;
  for (int t = 0; t < tasks_.size(); ++t) images += static_cast<int>(tasks_.report(t).images());
  progress_.Start(iter_, last, images);
  timer_.Start();
  logged_iter_ = iter_;
}

template <typename Dtype>
void MetaSolver<Dtype>::Step(int iters) {
  StartClocks(iter_ + iters);
  for (int i = 0; i < iters; ++i) MetaStep();
  if (leads()) progress_.ClearBar();
}

template <typename Dtype>
SolverAction::Enum MetaSolver<Dtype>::RequestedAction() {
  wanted_ = action_function_ ? action_function_() : SolverAction::NONE;
  return tasks_.group().size() == 1 ? wanted_ : agreed_;
}

template <typename Dtype>
bool MetaSolver<Dtype>::Solve(const string& resume_file) {
  CheckSnapshotPrefix();
  if (!resume_file.empty()) Restore(resume_file);
  if (iter_ >= static_cast<int>(param_.max_iter())) {
    LOG(WARNING) << "Meta-iteration " << iter_ << " is reached already and max_iter is "
                 << param_.max_iter() << ": nothing is left to do";
    if (HasSnapshot()) snapshot_iter_ = iter_;
  }
  LOG(INFO) << "Meta-training phi (" << phi_->count() << " values) on " << tasks_.size()
            << " task(s), random seed " << seed_;
  const int max_iter = static_cast<int>(param_.max_iter());
  const int interval = static_cast<int>(param_.snapshot());
  tasks_.group().Together([&] {
    if (leads()) metrics_.Start(param_.csv(), param_.tensorboard(), iter_);
  });
  StartClocks(max_iter);
  while (iter_ < max_iter) {
    MetaStep();
    const SolverAction::Enum action = RequestedAction();
    if (action != SolverAction::NONE || (interval > 0 && iter_ % interval == 0)) Snapshot();
    if (action == SolverAction::STOP) {
      LOG(INFO) << "Meta-training stopped early.";
      return false;
    }
  }
  if (leads()) progress_.ClearBar();
  if (snapshot_iter_ != iter_) Snapshot();
  const string times = tasks_.TimeLine();
  if (!times.empty()) LOG(INFO) << times;
  LOG(INFO) << "Meta-training done.";
  // What a process was asked for after the last step, the others have not heard of yet.
  const vector<string> asked =
      tasks_.group().AllGather(wanted_ == SolverAction::STOP ? "stop" : "");
  return std::all_of(asked.begin(), asked.end(), [](const string& by) { return by.empty(); });
}

INSTANTIATE_CLASS(MetaSolver);

}  // namespace caffe

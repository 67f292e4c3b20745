#include "solvers/meta_solver.hpp"

#include <set>

#include "solvers/host.hpp"

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
MetaSolver<Dtype>::MetaSolver(const MetaSolverParameter& param)
    : param_(param), seed_(RunSeed(param.random_seed())) {
  Check();
  for (int t = 0; t < param_.task_size(); ++t) {
    tasks_.emplace_back(new MetaTask<Dtype>(param_, t, seed_ + 1 + 2 * t));
  }
  MakePhi();
  std::set<string> names;
  for (const auto& task : tasks_) {
    ENFORCE(names.insert(task->name()).second)
        << "two tasks have the name '" << task->name() << "'";
    task->Borrow(tasks_[0]->theta_net());
    size_t values = 0;
    for (const Blob<Dtype>* blob : task->theta_net().learnable_params()) values += blob->count();
    LOG(INFO) << "Task '" << task->name() << "': net '" << task->theta_net().name() << "', "
              << task->theta_net().layers().size() << " layers, " << values << " values";
  }
}

template <typename Dtype>
void MetaSolver<Dtype>::Check() const {
  ENFORCE(param_.task_size() > 0) << "no task is given; add task { ... }";
  ENFORCE(param_.max_iter() > 0) << "max_iter is not given or 0";
  ENFORCE(param_.max_iter() <= INT_MAX) << "max_iter is " << param_.max_iter();
  ENFORCE(param_.average_loss() > 0) << "average_loss is 0";
  ENFORCE(!param_.phi_param().empty()) << "phi_param is empty";
  std::set<string> names;
  double weights = 0;
  for (const MetaTaskParameter& task : param_.task()) {
    ENFORCE(!task.has_name() || names.insert(task.name()).second)
        << "two tasks have the name '" << task.name() << "'";
    ENFORCE(task.weight() >= 0 && std::isfinite(task.weight()))
        << "task '" << task.name() << "': weight is " << task.weight();
    weights += task.weight();
  }
  ENFORCE(weights > 0) << "every task has weight 0";
  for (const bool phi : {false, true}) {
    const SolverParameter& optimiser = phi ? param_.phi() : param_.theta();
    Within(phi ? "phi" : "theta", [&] {
      ENFORCE(optimiser.has_base_lr()) << "base_lr is not given";
      // Finds an unknown type or learning-rate policy before a task's net would be blamed for it.
      const QuietLog quiet;
      SolverAccess<Dtype>::LearningRate(
          MakeSolver<Dtype>(optimiser, PhiNet({1}), param_, seed_).get());
    });
  }
  if (param_.has_snapshot_prefix() || param_.snapshot() > 0) CheckSnapshotPrefix();
}

template <typename Dtype>
void MetaSolver<Dtype>::MakePhi() {
  const string file = tasks_[0]->phi_file();
  for (const auto& task : tasks_) {
    ENFORCE(task->phi_file() == file)
        << "task '" << task->name() << "' loads phi from '" << task->phi_file() << "', task '"
        << tasks_[0]->name() << "' from '" << file << "'";
  }
  const Blob<Dtype>& first = tasks_[0]->phi();
  Within("phi", [&] {
    const QuietLog quiet;
    phi_solver_ = MakeSolver<Dtype>(param_.phi(), PhiNet(first.shape()), param_, seed_);
  });
  phi_ = phi_solver_->net()->learnable_params()[0];
  if (!file.empty()) phi_->CopyFrom(first);
  for (const auto& task : tasks_) task->SharePhi(*phi_);
}

template <typename Dtype>
void MetaSolver<Dtype>::MetaStep() {
  Losses losses;
  {
    const QuietLog quiet;
    theta_rate_ = SolverAccess<Dtype>::LearningRate(&tasks_[0]->solver());
  }
  for (const auto& task : tasks_) losses.theta.push_back(task->StepTheta());

  const int batches = phi_solver_->param().iter_size();
  vector<double> gradient(phi_->count(), 0.0);
  double weights = 0;
  for (const auto& task : tasks_) {
    losses.val.push_back(task->Validate(batches));
    const Dtype* share = task->phi_gradient();
    for (size_t i = 0; i < gradient.size(); ++i) gradient[i] += double{task->weight()} * share[i];
    weights += task->weight();
  }
  Dtype* diff = phi_->mutable_cpu_diff();
  for (size_t i = 0; i < gradient.size(); ++i) diff[i] = static_cast<Dtype>(gradient[i] / weights);
  phi_gradient_norm_ = Norm(diff, phi_->count()) / batches;
  ENFORCE(std::isfinite(phi_gradient_norm_))
      << "the gradient of phi is not finite at meta-iteration " << iter_;
  losses_.push_back(losses);
  if (losses_.size() > param_.average_loss()) losses_.pop_front();
  if ((param_.display() && iter_ % static_cast<int>(param_.display()) == 0) || progress_.IsDue()) {
    Log();
  }
  SolverAccess<Dtype>::Update(phi_solver_.get());
  ++iter_;
  progress_.DrawBar(iter_);
}

template <typename Dtype>
void MetaSolver<Dtype>::Log() {
  progress_.ClearBar();
  Losses mean = losses_.front();
  for (size_t t = 0; t < tasks_.size(); ++t) {
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
  for (size_t t = 0; t < tasks_.size(); ++t) {
    ostringstream accuracy;
    if (!std::isnan(tasks_[t]->accuracy())) {
      accuracy << ", val accuracy = " << tasks_[t]->accuracy();
    }
    LOG(INFO) << "    Task '" << tasks_[t]->name() << "': train loss = " << mean.theta[t]
              << ", val loss = " << mean.val[t] << accuracy.str();
  }
  const string progress = progress_.Line(iter_);
  if (!progress.empty()) LOG(INFO) << "    " << progress;
  if (metrics_.wanted()) WriteMetrics(mean);
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
  for (size_t t = 0; t < tasks_.size(); ++t) {
    const string& name = tasks_[t]->name();
    scalars.emplace_back(name + "/train_loss", mean.theta[t]);
    scalars.emplace_back(name + "/val_loss", mean.val[t]);
    if (!std::isnan(tasks_[t]->accuracy())) {
      scalars.emplace_back(name + "/val_accuracy", tasks_[t]->accuracy());
    }
  }
  for (const auto& task : tasks_) task->AppendPerturbations(&scalars);
  metrics_.Write(iter_, scalars);
}

template <typename Dtype>
void MetaSolver<Dtype>::StartClocks(int last) {
  int images = 0;
  for (const auto& task : tasks_) images += task->images();
  progress_.Start(iter_, last, images);
  timer_.Start();
  logged_iter_ = iter_;
}

template <typename Dtype>
void MetaSolver<Dtype>::Step(int iters) {
  StartClocks(iter_ + iters);
  for (int i = 0; i < iters; ++i) MetaStep();
  progress_.ClearBar();
}

template <typename Dtype>
void MetaSolver<Dtype>::Solve(const string& resume_file) {
  CheckSnapshotPrefix();
  if (!resume_file.empty()) Restore(resume_file);
  LOG(INFO) << "Meta-training phi (" << phi_->count() << " values) on " << tasks_.size()
            << " task(s), random seed " << seed_;
  const int max_iter = static_cast<int>(param_.max_iter());
  const int interval = static_cast<int>(param_.snapshot());
  metrics_.Start(param_.csv(), param_.tensorboard(), iter_);
  StartClocks(max_iter);
  while (iter_ < max_iter) {
    MetaStep();
    const SolverAction::Enum action = RequestedAction();
    if (action != SolverAction::NONE || (interval > 0 && iter_ % interval == 0)) Snapshot();
    if (action == SolverAction::STOP) {
      LOG(INFO) << "Meta-training stopped early.";
      return;
    }
  }
  progress_.ClearBar();
  if (snapshot_iter_ != iter_) Snapshot();
  LOG(INFO) << "Meta-training done.";
}

INSTANTIATE_CLASS(MetaSolver);

}  // namespace caffe

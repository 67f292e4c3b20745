#include "caffe/solver.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <numeric>

#include "caffe/util/check_param.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "util/comma_list.hpp"

namespace caffe {

namespace {

// Reads a net definition, from a file or from the solver's own text, with the state's defaults,
// then the net's, then the solver's.
NetParameter Definition(const string& file, const NetParameter& given, Phase phase,
                        const NetState* state) {
  NetParameter net = given;
  if (!file.empty()) ReadNetParamsFromTextFileOrDie(file, &net);
  UpgradeNetAsNeeded("net_param", &net);
  NetState merged;
  merged.set_phase(phase);
  merged.MergeFrom(net.state());
  if (state) merged.MergeFrom(*state);
  *net.mutable_state() = merged;
  return net;
}

// Runs `work`; an Error from it gets the name of the net's file, if there is one, in front.
template <class Work>
void InFile(const string& file, const Work& work) {
  try {
    work();
  } catch (const Error& e) {
    throw Error(file.empty() ? e.what() : file + ": " + e.what());
  }
}

template <typename Dtype>
shared_ptr<Net<Dtype>> MakeNet(const string& file, const NetParameter& definition) {
  shared_ptr<Net<Dtype>> net;
  InFile(file, [&] { net.reset(new Net<Dtype>(definition)); });
  return net;
}

// The first layer whose loss is not finite, as "layer 'loss' (SoftmaxWithLoss)".
template <typename Dtype>
string SourceOfLoss(const Net<Dtype>& net) {
  for (size_t i = 0; i < net.layers().size(); ++i) {
    for (size_t j = 0; j < net.top_vecs()[i].size(); ++j) {
      const Blob<Dtype>& top = *net.top_vecs()[i][j];
      if (net.layers()[i]->loss(static_cast<int>(j)) == 0) continue;
      const Dtype* values = top.cpu_data();
      for (int k = 0; k < top.count(); ++k) {
        if (std::isfinite(values[k])) continue;
        return "layer '" + net.layer_names()[i] + "' (" + net.layers()[i]->type() + ")";
      }
    }
  }
  return "the sum of the losses";
}

template <typename Dtype>
void LoadWeights(const SolverParameter& param, Net<Dtype>* net) {
  for (const string& file : WeightFiles(param)) {
    LOG_IF(INFO, Caffe::root_solver()) << "Finetuning from " << file;
    net->CopyTrainedLayersFrom(file);
  }
}

template <typename Dtype>
vector<double> OutputValues(const Net<Dtype>& net) {
  vector<double> values;
  for (const Blob<Dtype>* blob : net.output_blobs()) {
    values.insert(values.end(), blob->cpu_data(), blob->cpu_data() + blob->count());
  }
  return values;
}

// "    Train net output #0: loss = 0.5 (* 1 = 0.5 loss)"
template <typename Dtype>
void LogOutputs(const Net<Dtype>& net, const char* phase, const vector<double>& values) {
  size_t score = 0;
  for (const int id : net.output_blob_indices()) {
    const Dtype weight = net.blob_loss_weights()[id];
    for (int k = 0; k < net.blobs()[id]->count() && score < values.size(); ++k, ++score) {
      ostringstream loss;
      if (weight != 0) loss << " (* " << weight << " = " << weight * values[score] << " loss)";
      LOG(INFO) << "    " << phase << " net output #" << score << ": " << net.blob_names()[id]
                << " = " << values[score] << loss.str();
    }
  }
}

}  // namespace

vector<string> WeightFiles(const SolverParameter& param) {
  vector<string> all;
  for (const string& list : param.weights()) {
    for (const string& file : SplitAtCommas(list)) all.push_back(file);
  }
  ENFORCE(!all.empty() || param.weights_size() == 0)
      << "weights is '" << param.weights(0) << "', which names no file";
  return all;
}

template <typename Dtype>
Solver<Dtype>::Solver(const SolverParameter& param) {
  Init(param);
}

template <typename Dtype>
Solver<Dtype>::Solver(const string& param_file) {
  SolverParameter param;
  ReadSolverParamsFromTextFileOrDie(param_file, &param);
  try {
    Init(param);
  } catch (const Error& e) {
    throw Error(param_file + ": " + e.what());
  }
}

template <typename Dtype>
void Solver<Dtype>::Init(const SolverParameter& param) {
  VLOG(1) << "Solver parameters:\n" << param.DebugString();
  param_ = param;
  CheckParam(param);
  ENFORCE(param.average_loss() >= 1) << "average_loss is " << param.average_loss();
  ENFORCE(param.iter_size() >= 1) << "iter_size is " << param.iter_size();
  ENFORCE(param.snapshot_format() == SolverParameter::BINARYPROTO)
      << "snapshot_format HDF5 is not supported; use BINARYPROTO";
  for (const int batches : param.test_iter()) ENFORCE(batches >= 1) << "test_iter is " << batches;
  for (const int interval : {param.test_interval(), param.display(), param.snapshot()}) {
    ENFORCE(interval >= 0) << "an interval of " << interval
                           << " iterations (test_interval, display or snapshot)";
  }
  ENFORCE(param.base_lr() >= 0 && std::isfinite(param.base_lr()))
      << "base_lr is " << param.base_lr();
  ENFORCE(param.momentum() >= 0 && param.momentum() < 1)
      << "momentum is " << param.momentum() << "; it must be in [0, 1)";
  ENFORCE(param.momentum2() >= 0 && param.momentum2() < 1)
      << "momentum2 is " << param.momentum2() << "; it must be in [0, 1)";
  ENFORCE(param.delta() >= 0) << "delta is " << param.delta();
  ENFORCE(param.weight_decay() >= 0) << "weight_decay is " << param.weight_decay();
  ENFORCE(param.clip_gradients() != 0)
      << "clip_gradients is 0: nothing would learn; a negative value does not clip";
  for (int i = 1; i < param.stepvalue_size(); ++i) {
    ENFORCE(param.stepvalue(i - 1) <= param.stepvalue(i))
        << "stepvalue " << param.stepvalue(i) << " comes after " << param.stepvalue(i - 1);
  }
  CheckSnapshotWritePermissions();
  if (param.random_seed() >= 0) {
    Caffe::set_random_seed(static_cast<unsigned int>(param.random_seed() + Caffe::solver_rank()));
  } else {
    LOG(INFO) << "Random seed: " << Caffe::random_seed();
  }
  iter_ = 0;
  current_step_ = 0;
  losses_.clear();
  snapshot_iter_ = -1;
  InitTrainNet();
  InitTestNets();
}

template <typename Dtype>
void Solver<Dtype>::InitTrainNet() {
  const int given = param_.has_net() + param_.has_net_param() + param_.has_train_net() +
                    param_.has_train_net_param();
  ENFORCE(given == 1) << "one of net, net_param, train_net and train_net_param must be set, not "
                      << given;
  const string file = TrainFile();
  const NetParameter& text = param_.has_net_param() ? param_.net_param() : param_.train_net_param();
  net_ = MakeNet<Dtype>(file, Definition(file, text, TRAIN, &param_.train_state()));
  InFile(file, [&] { ENFORCE(!net_->layers().empty()) << "there is no layer in phase TRAIN"; });
  LoadWeights(param_, net_.get());
}

template <typename Dtype>
void Solver<Dtype>::InitTestNets() {
  const int tests = param_.test_iter_size();
  const int own = param_.test_net_param_size() + param_.test_net_size();
  const bool generic = param_.has_net() || param_.has_net_param();
  ENFORCE(generic ? tests >= own : tests == own)
      << "test_iter is given " << tests << " times for " << own << " test nets";
  ENFORCE(param_.test_state_size() == 0 || param_.test_state_size() == tests)
      << "test_state is given " << param_.test_state_size() << " times for " << tests
      << " test nets";
  ENFORCE(tests == 0 || param_.test_interval() > 0) << "test_iter is set, but test_interval is not";
  LOG_IF(WARNING, tests == 0 && param_.test_interval() > 0 && Caffe::root_solver())
      << "test_interval is set, but test_iter is not: nothing is tested";
  test_nets_.clear();
  test_files_.clear();
  // First those of test_net_param, then those of test_net; the generic net serves the rest.
  for (int i = 0; i < tests; ++i) {
    const int file_index = i - param_.test_net_param_size();
    string file;
    NetParameter text;
    if (file_index < 0) {
      text = param_.test_net_param(i);
    } else if (i < own) {
      file = param_.test_net(file_index);
    } else {
      file = param_.net();
      text = param_.net_param();
    }
    const NetState* state = param_.test_state_size() > 0 ? &param_.test_state(i) : nullptr;
    test_nets_.push_back(MakeNet<Dtype>(file, Definition(file, text, TEST, state)));
    test_files_.push_back(file);
    test_nets_.back()->set_debug_info(param_.debug_info());
    LoadWeights(param_, test_nets_.back().get());
    // Now rather than at the first test, so that layers that do not fit are found before training.
    InFile(file, [&] { test_nets_.back()->ShareTrainedLayersWith(net_.get()); });
  }
  test_passes_.assign(test_nets_.size(), 0);
}

template <typename Dtype>
int Solver<Dtype>::ImagesPerIteration() const {
  for (size_t i = 0; i < net_->layers().size(); ++i) {
    const auto& tops = net_->top_vecs()[i];
    if (net_->bottom_vecs()[i].empty() && !tops.empty() && tops[0]->num_axes() > 0) {
      return tops[0]->shape(0) * param_.iter_size() * Caffe::solver_count();
    }
  }
  return 0;
}

template <typename Dtype>
void Solver<Dtype>::CheckLoss(Dtype loss) const {
  const string& file = TrainFile();
  ENFORCE(std::isfinite(loss)) << "iteration " << iter_ << ": loss is " << loss << ", from "
                               << SourceOfLoss(*net_) << (file.empty() ? "" : " in " + file)
                               << "; a smaller base_lr or clip_gradients may help";
}

template <typename Dtype>
Dtype Solver<Dtype>::AccumulateGradients() {
  const string file = TrainFile();
  Dtype sum = 0;
  for (int i = 0; i < param_.iter_size(); ++i) {
    Dtype loss = 0;
    InFile(file, [&] { net_->Forward(&loss); });
    CheckLoss(loss);
    InFile(file, [&] { net_->Backward(); });
    sum += loss;
  }
  return sum / param_.iter_size();
}

template <typename Dtype>
void Solver<Dtype>::Step(int iters) {
  const int start_iter = iter_;
  const int stop_iter = iter_ + iters;
  iteration_timer_.Start();
  iterations_last_ = static_cast<float>(iter_);
  progress_.Start(iter_, stop_iter, ImagesPerIteration());
  while (iter_ < stop_iter) {
    net_->ClearParamDiffs();
    if (param_.test_interval() && iter_ % param_.test_interval() == 0 &&
        (iter_ > 0 || param_.test_initialization())) {
      if (Caffe::root_solver()) TestAll();
      if (requested_early_exit_) break;
    }
    for (Callback* callback : callbacks_) callback->on_start();
    const bool display = param_.display() && iter_ % param_.display() == 0;
    net_->set_debug_info(display && param_.debug_info());
    UpdateSmoothedLoss(AccumulateGradients(), start_iter, param_.average_loss());
    if (display || progress_.IsDue()) LogIteration();
    for (Callback* callback : callbacks_) callback->on_gradients_ready();
    ApplyUpdate();
    if (Caffe::root_solver()) progress_.DrawBar(iter_);

    const SolverAction::Enum request = GetRequestedAction();
    if ((param_.snapshot() && iter_ % param_.snapshot() == 0 && Caffe::root_solver()) ||
        request == SolverAction::SNAPSHOT) {
      Snapshot();
    }
    if (request == SolverAction::STOP) {
      requested_early_exit_ = true;
      break;
    }
  }
  progress_.ClearBar();
}

template <typename Dtype>
void Solver<Dtype>::LogIteration() {
  if (!Caffe::root_solver()) return;
  progress_.ClearBar();
  const float seconds = iteration_timer_.Seconds();
  const float iterations = static_cast<float>(iter_) - iterations_last_;
  LOG(INFO) << "Iteration " << iter_ << " (" << iterations / (seconds > 0 ? seconds : 1)
            << " iter/s, " << seconds << "s/" << iterations << " iters), loss = " << smoothed_loss_;
  iteration_timer_.Start();
  iterations_last_ = static_cast<float>(iter_);
  DisplayOutputBlobs(-1);
  const string progress = progress_.Line(iter_);
  if (!progress.empty()) LOG(INFO) << "    " << progress;
  progress_.Printed();
}

template <typename Dtype>
void Solver<Dtype>::DisplayOutputBlobs(int net_id) {
  const Net<Dtype>& net = net_id < 0 ? *net_ : *test_nets_.at(net_id);
  LogOutputs(net, net_id < 0 ? "Train" : "Test", OutputValues(net));
}

template <typename Dtype>
void Solver<Dtype>::Solve(const char* resume_file) {
  CHECK(Caffe::root_solver());
  LOG(INFO) << "Solving " << net_->name();
  LOG(INFO) << "Learning Rate Policy: " << param_.lr_policy();
  const auto& weights = net_->blob_loss_weights();
  if (std::all_of(weights.begin(), weights.end(), [](Dtype weight) { return weight == 0; })) {
    LOG(WARNING) << "net '" << net_->name() << "' has no loss: nothing is learned";
  }
  requested_early_exit_ = false;
  if (resume_file) {
    LOG(INFO) << "Restoring previous solver status from " << resume_file;
    Restore(resume_file);
  }
  const int start_iter = iter_;
  if (iter_ > 0 && iter_ >= param_.max_iter()) {
    LOG(WARNING) << "Iteration " << iter_ << " is reached already and max_iter is "
                 << param_.max_iter() << ": nothing is trained";
  }
  Step(param_.max_iter() - iter_);
  if ((param_.snapshot_after_train() || requested_early_exit_) && snapshot_iter_ != iter_) {
    Snapshot();
  }
  if (requested_early_exit_) {
    LOG(INFO) << "Optimization stopped early.";
    return;
  }
  if (param_.test_interval() && iter_ % param_.test_interval() == 0) TestAll();
  if (param_.display() && iter_ % param_.display() == 0) {
    Dtype loss = 0;
    // Of the final weights, for the log only; behind the test, as it moves running statistics.
    InFile(TrainFile(), [&] { net_->Forward(&loss); });
    CheckLoss(loss);
    UpdateSmoothedLoss(loss, start_iter, param_.average_loss());
    LOG(INFO) << "Iteration " << iter_ << ", loss = " << smoothed_loss_;
  }
  LOG(INFO) << "Optimization Done.";
}

template <typename Dtype>
void Solver<Dtype>::TestAll() {
  progress_.ClearBar();
  for (size_t i = 0; i < test_nets_.size() && !requested_early_exit_; ++i) {
    Test(static_cast<int>(i));
  }
  // A test that was broken off is made again, with the same batches, after resuming.
  for (size_t i = 0; i < test_nets_.size(); ++i) {
    if (requested_early_exit_) {
      test_nets_[i]->set_next_pass(test_passes_[i]);
    } else {
      test_passes_[i] = test_nets_[i]->next_pass();
    }
  }
}

template <typename Dtype>
void Solver<Dtype>::Test(int test_net_id) {
  CHECK(Caffe::root_solver());
  LOG(INFO) << "Iteration " << iter_ << ", Testing net (#" << test_net_id << ")";
  Net<Dtype>& net = *test_nets_.at(test_net_id);
  net.ShareTrainedLayersWith(net_.get());
  const int batches = param_.test_iter(test_net_id);
  vector<double> sums;
  double loss_sum = 0;
  for (int batch = 0; batch < batches; ++batch) {
    const SolverAction::Enum request = GetRequestedAction();
    if (request == SolverAction::SNAPSHOT) Snapshot();
    if (request == SolverAction::STOP) {
      requested_early_exit_ = true;
      LOG(INFO) << "Test interrupted.";
      return;
    }
    Dtype loss = 0;
    InFile(test_files_[test_net_id], [&] { net.Forward(&loss); });
    loss_sum += loss;
    const vector<double> values = OutputValues(net);
    sums.resize(std::max(sums.size(), values.size()), 0.0);
    for (size_t i = 0; i < values.size(); ++i) sums[i] += values[i];
    if (progress_.IsDue()) LOG(INFO) << "    batch " << batch + 1 << " of " << batches;
  }
  if (param_.test_compute_loss()) LOG(INFO) << "Test loss: " << loss_sum / batches;
  for (double& sum : sums) sum /= batches;
  LogOutputs(net, "Test", sums);
  progress_.Printed();
}

template <typename Dtype>
void Solver<Dtype>::UpdateSmoothedLoss(Dtype loss, int, int average_loss) {
  losses_.push_back(loss);
  const int surplus = static_cast<int>(losses_.size()) - average_loss;
  if (surplus > 0) losses_.erase(losses_.begin(), losses_.begin() + surplus);
  smoothed_loss_ = std::accumulate(losses_.begin(), losses_.end(), Dtype(0)) / losses_.size();
}

INSTANTIATE_CLASS(Solver);

}  // namespace caffe

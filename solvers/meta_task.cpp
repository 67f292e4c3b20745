#include "solvers/meta_task.hpp"

#include <algorithm>
#include <limits>
#include <set>

#include "layers/metaperturb_layer.hpp"
#include "solvers/host.hpp"
#include "solvers/task_nets.hpp"

namespace caffe {

namespace {

const double kNone = std::numeric_limits<double>::quiet_NaN();

template <typename Dtype>
int BatchSize(const Net<Dtype>& net) {
  for (size_t i = 0; i < net.layers().size(); ++i) {
    const auto& tops = net.top_vecs()[i];
    if (net.bottom_vecs()[i].empty() && !tops.empty() && tops[0]->num_axes() > 0) {
      return tops[0]->shape(0);
    }
  }
  return 0;
}

}  // namespace

string TaskName(const MetaSolverParameter& run, int index) {
  return run.task(index).has_name() ? run.task(index).name() : "task" + std::to_string(index);
}

string NetFile(const MetaSolverParameter& run, int index) {
  return run.task(index).has_net() ? run.task(index).net() : run.net();
}

SolverParameter ThetaOptimiser(const MetaSolverParameter& run, const MetaTaskParameter& task) {
  SolverParameter result = run.theta();
  if (task.theta().stepvalue_size() > 0) result.clear_stepvalue();
  result.MergeFrom(task.theta());
  return result;
}

template <typename Dtype>
std::unique_ptr<SGDSolver<Dtype>> MakeSolver(const SolverParameter& optimiser,
                                             const NetParameter& net,
                                             const MetaSolverParameter& run, int64_t seed) {
  SolverParameter param = optimiser;
  param.clear_net();
  param.clear_net_param();
  param.clear_train_net();
  param.clear_test_net();
  param.clear_test_net_param();
  param.clear_test_iter();
  param.clear_test_interval();
  param.clear_train_state();  // `net` is what it leaves
  param.clear_test_state();
  param.clear_snapshot_prefix();
  param.set_display(0);
  param.set_snapshot(0);
  param.set_snapshot_after_train(false);
  param.set_max_iter(static_cast<int>(run.max_iter()));
  param.set_random_seed(seed);
  *param.mutable_train_net_param() = net;
  std::unique_ptr<Solver<Dtype>> solver(SolverRegistry<Dtype>::CreateSolver(param));
  auto* sgd = dynamic_cast<SGDSolver<Dtype>*>(solver.get());
  ENFORCE(sgd) << "solver type '" << param.type()
               << "' is not derived from SGDSolver: its state cannot be saved";
  solver.release();
  return std::unique_ptr<SGDSolver<Dtype>>(sgd);
}

template <typename Dtype>
void SolverToProto(SGDSolver<Dtype>* solver, SolverState* state) {
  state->set_iter(solver->iter());
  state->set_current_step(SolverAccess<Dtype>::LearningRateStep(solver));
  for (const auto& blob : solver->history()) blob->ToProto(state->add_history());
}

template <typename Dtype>
void SolverFromProto(const SolverState& state, SGDSolver<Dtype>* solver) {
  const auto& history = solver->history();
  ENFORCE(state.history_size() == static_cast<int>(history.size()))
      << "the stored optimiser has " << state.history_size() << " moments where " << history.size()
      << " are expected: was it of type " << solver->type() << "?";
  for (size_t i = 0; i < history.size(); ++i) {
    history[i]->FromProto(state.history(static_cast<int>(i)), false);
  }
  SolverAccess<Dtype>::Iteration(solver) = state.iter();
  SolverAccess<Dtype>::LearningRateStep(solver) = state.current_step();
}

template <typename Dtype>
MetaTask<Dtype>::MetaTask(const MetaSolverParameter& run, NetFiles* nets, int index, int64_t seed)
    : phi_param_(run.phi_param()), param_(run.task(index)), accuracy_(kNone) {
  name_ = TaskName(run, index);
  Within("task '" + name_ + "'", [&] { Build(run, nets, index, seed); });
}

template <typename Dtype>
void MetaTask<Dtype>::Build(const MetaSolverParameter& run, NetFiles* nets, int index,
                            int64_t seed) {
  val_batches_ = run.phi().iter_size();
  const string file = NetFile(run, index);
  ENFORCE(!file.empty()) << "no net is given, neither here nor for all tasks";
  net_file_ = file;
  const NetParameter& net = nets->Get(file);
  Within(file, [&] {
    NetState state;
    state.set_phase(TRAIN);
    state.MergeFrom(net.state());
    state.MergeFrom(ThetaOptimiser(run, param_).train_state());
    state.set_phase(TRAIN);
    const NetParameter definition = ThetaDefinition(net, state, param_, phi_param_);
    phi_file_ = PhiFile(definition, phi_param_);
    {
      const QuietLog quiet(index > 0);
      solver_ = MakeSolver<Dtype>(ThetaOptimiser(run, param_), definition, run, seed);
    }
    const auto& weights = theta_net().blob_loss_weights();
    ENFORCE(std::any_of(weights.begin(), weights.end(), [](Dtype weight) { return weight != 0; }))
        << "the net has no loss in phase TRAIN";
    const QuietLog quiet;
    const bool lookahead = run.bilevel() == MetaSolverParameter::LOOKAHEAD;
    const NetParameter validation =
        ValidationDefinition(definition, theta_net(), param_, phi_param_, lookahead);
    Caffe::set_random_seed(static_cast<unsigned int>(seed + 1));
    val_net_.reset(new Net<Dtype>(validation));
    if (!lookahead) return;
    lookahead_rate_ = run.lookahead_rate();
    lookahead_.reset(new Lookahead<Dtype>(&theta_net(), val_net_.get(),
                                          ReplayDefinition(definition, theta_net(), phi_param_),
                                          phi_param_, seed));
  });
  // Parameters that do not fit are named as what they come from.
  const string images = OtherImages(theta_net(), *val_net_);
  const auto share = [this] { val_net_->ShareTrainedLayersWith(&theta_net()); };
  images.empty() ? share() : Within(images, share);
  for (const auto& layer : val_net_->layers()) {
    const int counter = PassCounter(layer.get());
    if (counter < 0) continue;
    counts_.emplace_back(new Blob<Dtype>(vector<int>{1}));
    counts_.back()->mutable_cpu_data()[0] = 0;
    layer->blobs()[counter]->ShareData(*counts_.back());
  }
}

template <typename Dtype>
void MetaTask<Dtype>::Describe(MetaTaskReport* report) const {
  report->set_name(name_);
  size_t values = 0;
  for (const Blob<Dtype>* blob : theta_net().learnable_params()) values += blob->count();
  report->set_description("net '" + theta_net().name() + "', " +
                          std::to_string(theta_net().layers().size()) + " layers, " +
                          std::to_string(values) + " values");
  report->set_images(static_cast<uint32_t>(BatchSize(theta_net()) * solver_->param().iter_size() +
                                           BatchSize(*val_net_) * val_batches_));
  report->set_phi_file(phi_file_);
  phi().ToProto(report->mutable_phi());
}

template <typename Dtype>
int MetaTask<Dtype>::PhiIndex(const Net<Dtype>& net) const {
  return net.param_names_index().at(phi_param_);
}

template <typename Dtype>
const Blob<Dtype>& MetaTask<Dtype>::phi() const {
  return *theta_net().params()[PhiIndex(theta_net())];
}

template <typename Dtype>
void MetaTask<Dtype>::SharePhi(const Blob<Dtype>& phi) {
  vector<Net<Dtype>*> nets = {&theta_net(), val_net_.get()};
  if (lookahead_) nets.push_back(&lookahead_->replay_net());
  for (Net<Dtype>* net : nets) {
    const int owner = PhiIndex(*net);
    for (int i = 0; i < static_cast<int>(net->params().size()); ++i) {
      if (i != owner && net->param_owners()[i] != owner) continue;
      ENFORCE(net->params()[i]->count() == phi.count())
          << "task '" << name_ << "': '" << phi_param_ << "' has " << net->params()[i]->count()
          << " values where " << phi.count() << " are expected";
      net->params()[i]->ShareData(phi);
    }
  }
}

template <typename Dtype>
void MetaTask<Dtype>::Borrow(const Net<Dtype>& lender) {
  BorrowActivations(&theta_net(), lender);
  BorrowActivations(val_net_.get(), lender);
  if (lookahead_) BorrowActivations(&lookahead_->replay_net(), lender);
}

template <typename Dtype>
string MetaTask<Dtype>::Where(const string& source) const {
  return "task '" + name_ + "': " + net_file_ + (source.empty() ? "" : " with " + source);
}

template <typename Dtype>
void MetaTask<Dtype>::Step(int batches, double* theta_loss, double* val_loss) {
  if (!lookahead_) {
    *theta_loss = StepTheta();
    *val_loss = Validate(batches);
    return;
  }
  const int train_batches = solver_->param().iter_size();
  theta_net().ClearParamDiffs();
  const double sum = Within(Where(param_.train_source()),
                            [&] { return lookahead_->TrainPass(train_batches, train_passes_); });
  lookahead_->Advance(lookahead_rate_ > 0 ? static_cast<Dtype>(lookahead_rate_)
                                          : SolverAccess<Dtype>::LearningRate(solver_.get()));
  val_net_->ClearParamDiffs();
  *val_loss = Validate(batches);
  *theta_loss = Within(Where(param_.train_source()), [&] {
    lookahead_->AddImplicitTerm(&phi_gradient_);
    return UpdateTheta(sum, train_batches);
  });
}

template <typename Dtype>
double MetaTask<Dtype>::StepTheta() {
  return Within(Where(param_.train_source()), [&] {
    const int batches = solver_->param().iter_size();
    double sum = 0;
    theta_net().ClearParamDiffs();
    for (int i = 0; i < batches; ++i) sum += theta_net().ForwardBackward();
    return UpdateTheta(sum, batches);
  });
}

template <typename Dtype>
double MetaTask<Dtype>::UpdateTheta(double loss_sum, int batches) {
  train_passes_ += batches;
  const double loss = loss_sum / batches;
  ENFORCE(std::isfinite(loss)) << "the training loss is " << loss << " at meta-iteration "
                               << solver_->iter()
                               << "; a smaller base_lr of theta or clip_gradients may help";
  SolverAccess<Dtype>::Update(solver_.get());
  return loss;
}

template <typename Dtype>
double MetaTask<Dtype>::Validate(int batches) {
  return Within(Where(param_.val_source()), [&] {
    // Nothing else in this net gets a gradient, or memory for one.
    Blob<Dtype>& phi = *val_net_->params()[PhiIndex(*val_net_)];
    caffe_set(phi.count(), Dtype(0), phi.mutable_cpu_diff());
    double sum = 0;
    for (int i = 0; i < batches; ++i) sum += val_net_->ForwardBackward();
    val_passes_ += batches;
    const double loss = sum / batches;
    // Of the passes before this one, each meta-step made `batches`.
    ENFORCE(std::isfinite(loss)) << "the validation loss is " << loss << " at meta-iteration "
                                 << val_passes_ / batches - 1
                                 << "; a smaller base_lr of theta or phi may help";
    for (size_t i = 0; i < val_net_->layers().size(); ++i) {
      if (string(val_net_->layers()[i]->type()) != "Accuracy") continue;
      accuracy_ = val_net_->top_vecs()[i][0]->cpu_data()[0];
      break;
    }
    phi_gradient_.assign(phi.cpu_diff(), phi.cpu_diff() + phi.count());
    return loss;
  });
}

template <typename Dtype>
void MetaTask<Dtype>::AppendPerturbations(Scalars* scalars) const {
  for (const auto& layer : val_net_->layers()) {
    const auto* perturbation = dynamic_cast<const MetaPerturbLayer<Dtype>*>(layer.get());
    if (!perturbation) continue;
    const string where = name_ + "/" + layer->layer_param().name();
    const auto noise = perturbation->NoiseSpread(), scale = perturbation->ScaleSpread();
    scalars->emplace_back(where + "/noise_mean", noise.mean);
    scalars->emplace_back(where + "/noise_deviation", noise.deviation);
    scalars->emplace_back(where + "/scale_mean", scale.mean);
    scalars->emplace_back(where + "/scale_deviation", scale.deviation);
  }
}

template <typename Dtype>
void MetaTask<Dtype>::ToProto(MetaSolverState::Task* state) const {
  state->set_name(name_);
  theta_net().ToProto(state->mutable_net());
  SolverToProto(solver_.get(), state->mutable_solver());
  state->set_train_passes(train_passes_);
  state->set_val_passes(val_passes_);
}

template <typename Dtype>
void MetaTask<Dtype>::FromProto(const MetaSolverState::Task& state) {
  Within("task '" + name_ + "'", [&] {
    std::set<string> stored;
    for (const LayerParameter& layer : state.net().layer()) {
      if (layer.blobs_size() > 0) stored.insert(layer.name());
    }
    for (size_t i = 0; i < theta_net().layers().size(); ++i) {
      const string& layer = theta_net().layer_names()[i];
      ENFORCE(theta_net().layers()[i]->blobs().empty() || stored.count(layer))
          << "layer '" << layer << "' has parameters, but is not in the snapshot";
    }
    theta_net().CopyTrainedLayersFrom(state.net());
    SolverFromProto(state.solver(), solver_.get());
    train_passes_ = state.train_passes();
    val_passes_ = state.val_passes();
    SetNextPass(&theta_net(), train_passes_);
    SetNextPass(val_net_.get(), val_passes_);
    for (const auto& count : counts_) {
      count->mutable_cpu_data()[0] = static_cast<Dtype>(state.val_passes());
    }
  });
}

INSTANTIATE_CLASS(MetaTask);

#define INSTANTIATE(Dtype)                                                               \
  template std::unique_ptr<SGDSolver<Dtype>> MakeSolver(                                 \
      const SolverParameter&, const NetParameter&, const MetaSolverParameter&, int64_t); \
  template void SolverToProto(SGDSolver<Dtype>*, SolverState*);                          \
  template void SolverFromProto(const SolverState&, SGDSolver<Dtype>*)
INSTANTIATE(float);
INSTANTIATE(double);

}  // namespace caffe

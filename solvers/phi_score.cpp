#include "solvers/phi_score.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>

#include "caffe/solver_factory.hpp"
#include "layers/metaperturb_param.hpp"
#include "solvers/host.hpp"

namespace caffe {

namespace {

string SourceOf(const LayerParameter& layer) {
  if (layer.type() == "Data") return layer.data_param().source();
  if (layer.type() == "ImageData") return layer.image_data_param().source();
  return "";
}

string Canonical(const string& path) {
  std::error_code ignored;
  return std::filesystem::weakly_canonical(path, ignored).string();
}

// The target's solver, all of its MetaPerturb layers with phi from `phi_file`.
std::unique_ptr<Solver<float>> TargetSolver(SolverParameter param, const string& phi_file) {
  param.set_snapshot(0);
  param.set_snapshot_after_train(false);
  param.clear_snapshot_prefix();
  if (param.random_seed() < 0) param.set_random_seed(1);
  for (LayerParameter& layer : *param.mutable_net_param()->mutable_layer()) {
    if (layer.type() != "MetaPerturb") continue;
    MetaPerturbParameter perturb = metaperturb::GetParam(layer);
    phi_file.empty() ? perturb.clear_phi() : perturb.set_phi(phi_file);
    const bool as_param_str = layer.has_python_param();
    metaperturb::SetParam(perturb, as_param_str, &layer);
  }
  return std::unique_ptr<Solver<float>>(SolverRegistry<float>::CreateSolver(param));
}

}  // namespace

SolverParameter ReadTarget(const string& file, const MetaSolverParameter& run) {
  SolverParameter target;
  ReadSolverParamsFromTextFileOrDie(file, &target);
  Within(file, [&] {
    ENFORCE(target.has_net()) << "net is not given";
    ENFORCE(target.test_iter_size() > 0 && target.test_iter(0) > 0) << "test_iter is not given";
    NetParameter net;
    ReadNetParamsFromTextFileOrDie(target.net(), &net);
    std::set<string> sources;
    for (const MetaTaskParameter& task : run.task()) {
      sources.insert(Canonical(task.train_source()));
      sources.insert(Canonical(task.val_source()));
    }
    bool found = false;
    for (const LayerParameter& layer : net.layer()) {
      found |= layer.type() == "MetaPerturb";
      const string source = SourceOf(layer);
      ENFORCE(source.empty() || !sources.count(Canonical(source)))
          << target.net() << ": layer '" << layer.name() << "' (" << layer.type() << ") reads '"
          << source << "', which is a source task's: nothing can be learned from it about others";
    }
    ENFORCE(found) << target.net() << ": has no MetaPerturb layer to put phi into";
    const string net_file = target.net();
    *target.mutable_net_param() = net;
    target.clear_net();
    const QuietLog quiet(true, google::GLOG_ERROR);       // it has no phi yet
    Within(net_file, [&] { TargetSolver(target, ""); });  // hours before it is trained
  });
  return target;
}

PhiScore ScorePhi(const SolverParameter& target, const string& phi_file,
                  const ActionCallback& action, bool* stopped) {
  const std::unique_ptr<Solver<float>> solver = TargetSolver(target, phi_file);
  *stopped = false;
  solver->SetActionFunction([&] {
    const SolverAction::Enum wanted = action ? action() : SolverAction::NONE;
    *stopped |= wanted == SolverAction::STOP;
    return wanted == SolverAction::STOP ? wanted : SolverAction::NONE;
  });
  solver->Solve();

  Net<float>& net = *solver->test_nets()[0];
  net.ShareTrainedLayersWith(solver->net().get());
  PhiScore score = {"loss", false, 0};
  const Blob<float>* accuracy = nullptr;
  for (size_t i = 0; i < net.layers().size() && !accuracy; ++i) {
    if (string(net.layers()[i]->type()) != "Accuracy") continue;
    accuracy = net.top_vecs()[i][0];
    score.name = "accuracy";
    score.rises = true;
  }
  const int batches = target.test_iter(0);
  for (int b = 0; b < batches && !*stopped; ++b) {
    float loss = 0;
    net.Forward(&loss);
    score.value += (accuracy ? accuracy->cpu_data()[0] : loss) / batches;
  }
  return score;
}

}  // namespace caffe

// What a meta-training run reads and writes: its definition, and its snapshots.

#include <glob.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "solvers/host.hpp"
#include "solvers/meta_solver.hpp"
#include "solvers/meta_state_file.hpp"
#include "util/snapshots.hpp"

namespace caffe {

namespace {

// A state without its tasks.
MetaSolverState ReadHead(const string& file) {
  return ReadMetaState(file, [](int) { return false; });
}

// The files that a shell pattern stands for, sorted.
vector<string> Matches(const string& pattern) {
  glob_t found;
  const int status = glob(pattern.c_str(), 0, nullptr, &found);
  vector<string> files;
  if (status == 0) files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  ENFORCE(!files.empty()) << "task_list '" << pattern << "': there is no such file";
  return files;
}

// Before a good snapshot is replaced by one of no use.
void CheckFinite(const BlobProto& blob, const string& what) {
  const auto check = [&](const auto& values) {
    for (const double value : values) {
      ENFORCE(std::isfinite(value)) << "the training has diverged: a value of " << what << " is "
                                    << value << "; no snapshot is written";
    }
  };
  check(blob.data());
  check(blob.double_data());
}

void CheckFinite(const MetaSolverState::Task& task) {
  for (const LayerParameter& layer : task.net().layer()) {
    for (const BlobProto& blob : layer.blobs()) {
      CheckFinite(blob, "layer '" + layer.name() + "' of task '" + task.name() + "'");
    }
  }
}

}  // namespace

template <typename Dtype>
string MetaSolver<Dtype>::SnapshotName(const string& middle, const string& extension) const {
  return param_.snapshot_prefix() + middle + "_iter_" + std::to_string(iter_) + extension;
}

template <typename Dtype>
void MetaSolver<Dtype>::CheckSnapshotPrefix() {
  ENFORCE(!param_.snapshot_prefix().empty()) << "snapshot_prefix is not given";
  tasks_.group().Together([&] {
    if (!leads()) return;
    caffe::CheckSnapshotPrefix(param_.snapshot_prefix());
  });
}

template <typename Dtype>
bool MetaSolver<Dtype>::HasSnapshot() {
  const bool has = leads() && std::filesystem::exists(SnapshotName("_phi", ".caffemodel")) &&
                   std::filesystem::exists(SnapshotName("", ".metastate"));
  return tasks_.group().AllGather(has ? "yes" : "")[0] == "yes";
}

template <typename Dtype>
void MetaSolver<Dtype>::Snapshot() {
  ENFORCE(!param_.snapshot_prefix().empty()) << "snapshot_prefix is not given";
  ProcessGroup& group = tasks_.group();
  const string phi_file = SnapshotName("_phi", ".caffemodel");
  const string state_file = SnapshotName("", ".metastate");
  const string where = "meta-iteration " + std::to_string(iter_);
  std::unique_ptr<MetaStateWriter> writer;
  group.Together([&] {
    if (!leads()) return;
    progress_.ClearBar();
    LOG(INFO) << "Writing phi to " << phi_file << " and the run's state to " << state_file;
    MetaSolverState head;
    head.set_iter(static_cast<uint32_t>(iter_));
    phi_->ToProto(head.mutable_phi());
    Within(where, [&] { CheckFinite(head.phi(), "phi"); });
    SolverToProto(phi_solver_.get(), head.mutable_phi_solver());
    writer.reset(new MetaStateWriter(state_file, head));
  });
  tasks_.ForEachState([&](const MetaSolverState::Task& task) {
    Within(where, [&] { CheckFinite(task); });
    writer->AddTask(task);
  });
  group.Together([&] {
    if (!leads()) return;
    MetaSolverState rest;
    rest.set_random_seed(static_cast<uint64_t>(seed_));
    for (const Losses& losses : losses_) {
      MetaSolverState::Losses* stored = rest.add_losses();
      for (const double loss : losses.theta) stored->add_theta(loss);
      for (const double loss : losses.val) stored->add_val(loss);
    }
    WriteProtoToBinaryFile(PhiModel(), phi_file);
    writer->Finish(rest);
    PruneSnapshots(param_.snapshot_prefix(), {".metastate"}, iter_,
                   static_cast<int>(param_.snapshot_keep()));
  });
  snapshot_iter_ = iter_;
}

template <typename Dtype>
NetParameter MetaSolver<Dtype>::PhiModel() const {
  NetParameter net;
  net.set_name("phi");
  LayerParameter* layer = net.add_layer();
  layer->set_name("phi");
  layer->set_type("MetaPerturb");
  phi_->ToProto(layer->add_blobs());
  return net;
}

template <typename Dtype>
void MetaSolver<Dtype>::Restore(const string& file) {
  MetaSolverState state;
  tasks_.group().Together([&] {
    state = ReadMetaState(file, [&](int t) { return t < tasks_.size() && tasks_.IsMine(t); });
  });
  const auto restore_phi = [&] {
    phi_->FromProto(state.phi(), false);
    SolverFromProto(state.phi_solver(), phi_solver_.get());
  };
  Within(file, [&] {
    tasks_.FromProto(state);
    tasks_.group().Together([&] { Within("phi", restore_phi); });
  });
  if (state.random_seed() != static_cast<uint64_t>(seed_)) {
    LOG(WARNING) << file << ": was written with random seed " << state.random_seed()
                 << "; this run has " << seed_;
  }
  iter_ = static_cast<int>(state.iter());
  snapshot_iter_ = -1;
  losses_.clear();
  for (const MetaSolverState::Losses& stored : state.losses()) {
    losses_.push_back({{stored.theta().begin(), stored.theta().end()},
                       {stored.val().begin(), stored.val().end()}});
  }
  LOG(INFO) << "Continuing from " << file << " at meta-iteration " << iter_;
}

MetaSolverParameter ReadMetaSolverParameter(const string& file) {
  MetaSolverParameter param;
  ReadProtoFromTextFileOrDie(file, &param);
  Within(file, [&] {
    for (const string& pattern : param.task_list()) {
      for (const string& list : Matches(pattern)) {
        MetaTaskList tasks;
        metaperturb::ReadProto(list, true, &tasks);
        ENFORCE(tasks.task_size() > 0) << list << ": has no task";
        param.mutable_task()->MergeFrom(tasks.task());
      }
    }
  });
  param.clear_task_list();
  for (SolverParameter* optimiser : {param.mutable_theta(), param.mutable_phi()}) {
    UpgradeSolverAsNeeded(file, optimiser);
  }
  for (MetaTaskParameter& task : *param.mutable_task()) {
    if (task.has_theta()) UpgradeSolverAsNeeded(file, task.mutable_theta());
  }
  if (!param.has_snapshot_prefix()) {
    param.set_snapshot_prefix(std::filesystem::path(file).replace_extension().string());
  }
  return param;
}

void AdoptSnapshotSeed(const string& state_file, MetaSolverParameter* param) {
  const MetaSolverState state = ReadHead(state_file);
  if (param->random_seed() < 0 && state.has_random_seed()) {
    param->set_random_seed(static_cast<int64_t>(state.random_seed()));
  }
}

string LatestSnapshot(const MetaSolverParameter& param) {
  return NewestGoodSnapshot(param.snapshot_prefix(), ".metastate",
                            [](const string& file) { ReadHead(file); });
}

#define INSTANTIATE(Dtype)                                                             \
  template string MetaSolver<Dtype>::SnapshotName(const string&, const string&) const; \
  template void MetaSolver<Dtype>::CheckSnapshotPrefix();                              \
  template bool MetaSolver<Dtype>::HasSnapshot();                                      \
  template void MetaSolver<Dtype>::Snapshot();                                         \
  template void MetaSolver<Dtype>::Restore(const string&)
INSTANTIATE(float);
INSTANTIATE(double);

}  // namespace caffe

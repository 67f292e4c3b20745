// Snapshots: what a solver writes, and how it starts from that.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "caffe/solver.hpp"
#include "caffe/util/io.hpp"
#include "util/checksum.hpp"
#include "util/snapshots.hpp"

namespace caffe {

namespace {

// Snapshots may have been moved to another directory, or copied, so that another run's file may
// stand where theirs was: of the two places that whose file is the right one, else that beside.
string ModelOf(const SolverState& state, const string& state_file) {
  namespace fs = std::filesystem;
  const fs::path stored = state.learned_net();
  const fs::path beside = fs::path(state_file).parent_path() / stored.filename();
  std::error_code ignored;
  const bool is_stored = fs::exists(stored, ignored), is_beside = fs::exists(beside, ignored);
  ENFORCE(is_stored || is_beside) << state_file << ": its weights '" << stored.string()
                                  << "' do not exist, nor does '" << beside.string() << "'";
  const RunState& run = state.run_state();
  const bool take_stored = !is_beside || (is_stored && !fs::equivalent(stored, beside, ignored) &&
                                          run.has_model_checksum() &&
                                          FileCrc32(beside.string()) != run.model_checksum());
  return (take_stored ? stored : beside).string();
}

uint32_t ChecksumOf(SolverState state) {
  state.mutable_run_state()->clear_checksum();
  return MessageCrc32(state);
}

}  // namespace

template <typename Dtype>
void Solver<Dtype>::CheckSnapshotWritePermissions() {
  const bool at_the_end = param_.snapshot_after_train() && param_.has_snapshot_prefix();
  if (!Caffe::root_solver()) return;
  if (!param_.snapshot() && !at_the_end) {
    try {
      if (param_.has_snapshot_prefix()) CheckSnapshotPrefix(param_.snapshot_prefix());
    } catch (const Error& e) {
      LOG(WARNING) << e.what() << ": a training that is stopped leaves no snapshot";
    }
    return;
  }
  ENFORCE(!param_.snapshot_prefix().empty()) << "snapshot is set, but snapshot_prefix is not";
  CheckSnapshotPrefix(param_.snapshot_prefix());
}

template <typename Dtype>
string Solver<Dtype>::SnapshotFilename(const string& extension) {
  return param_.snapshot_prefix() + "_iter_" + std::to_string(iter_) + extension;
}

template <typename Dtype>
string Solver<Dtype>::SnapshotToBinaryProto() {
  const string filename = SnapshotFilename(".caffemodel");
  LOG(INFO) << "Snapshotting to binary proto file " << filename;
  NetParameter net;
  net_->ToProto(&net, param_.snapshot_diff());
  WriteProtoToBinaryFile(net, filename);
  return filename;
}

template <typename Dtype>
string Solver<Dtype>::SnapshotToHDF5() {
  throw Error(SnapshotFilename(".caffemodel.h5") + ": HDF5 snapshots are not supported");
}

// Before a good snapshot is replaced by one of no use.
template <typename Dtype>
void Solver<Dtype>::CheckWeights() const {
  const auto& layers = net_->layers();
  for (size_t i = 0; i < layers.size(); ++i) {
    for (size_t j = 0; j < layers[i]->blobs().size(); ++j) {
      const Blob<Dtype>& blob = *layers[i]->blobs()[j];
      const Dtype* end = blob.cpu_data() + blob.count();
      const Dtype* bad =
          std::find_if(blob.cpu_data(), end, [](Dtype value) { return !std::isfinite(value); });
      ENFORCE(bad == end) << "iteration " << iter_ << ": the training has diverged: a value of "
                          << "parameter " << j << " of layer '" << net_->layer_names()[i] << "' is "
                          << *bad << "; no snapshot is written";
    }
  }
}

template <typename Dtype>
void Solver<Dtype>::Snapshot() {
  CHECK(Caffe::root_solver());
  progress_.ClearBar();
  CheckWeights();
  SnapshotSolverState(param_.snapshot_format() == SolverParameter::HDF5 ? SnapshotToHDF5()
                                                                        : SnapshotToBinaryProto());
  snapshot_iter_ = iter_;
  PruneSnapshots(param_.snapshot_prefix(), {".solverstate", ".caffemodel"}, iter_, snapshot_keep_);
}

template <typename Dtype>
void Solver<Dtype>::Restore(const char* resume_file) {
  const string file = resume_file;
  if (file.size() >= 3 && file.compare(file.size() - 3, 3, ".h5") == 0) {
    RestoreSolverStateFromHDF5(file);
  } else {
    RestoreSolverStateFromBinaryProto(file);
  }
}

template <typename Dtype>
void Solver<Dtype>::StateToProto(const string& model_filename, SolverState* state) const {
  state->set_iter(iter_);
  state->set_learned_net(model_filename);
  state->set_current_step(current_step_);
  RunState* run = state->mutable_run_state();
  for (const uint64_t passes : test_passes_) run->add_test_passes(passes);
  for (const Dtype loss : losses_) run->add_losses(loss);
  run->set_random_seed(Caffe::random_seed());
  run->set_model_checksum(FileCrc32(model_filename));
}

template <typename Dtype>
void Solver<Dtype>::StateFromProto(const SolverState& state, const string& state_file) {
  if (state.has_learned_net()) net_->CopyTrainedLayersFrom(ModelOf(state, state_file));
  iter_ = state.iter();
  current_step_ = state.current_step();
  net_->set_next_pass(static_cast<uint64_t>(iter_) * param_.iter_size());
  const RunState& run = state.run_state();
  losses_.assign(run.losses().begin(), run.losses().end());
  if (run.test_passes_size() == static_cast<int>(test_nets_.size())) {
    test_passes_.assign(run.test_passes().begin(), run.test_passes().end());
    for (size_t i = 0; i < test_nets_.size(); ++i) test_nets_[i]->set_next_pass(test_passes_[i]);
  }
  const uint64_t seed = Caffe::random_seed() - Caffe::solver_rank();  // the root's
  if (run.has_random_seed() && run.random_seed() != seed) {
    LOG(WARNING) << state_file << ": was written with random seed " << run.random_seed()
                 << "; this run has " << Caffe::random_seed();
  }
}

void AdoptSnapshotSeed(const string& state_file, SolverParameter* param) {
  SolverState state;
  ReadProtoFromBinaryFileOrDie(state_file, &state);
  if (param->random_seed() < 0 && state.run_state().has_random_seed()) {
    param->set_random_seed(static_cast<int64_t>(state.run_state().random_seed()));
  }
}

void CheckSnapshot(const SolverState& state, const string& state_file) {
  const RunState& run = state.run_state();
  ENFORCE(!run.has_checksum() || run.checksum() == ChecksumOf(state))
      << state_file << ": is damaged: its checksum does not fit";
  if (!state.has_learned_net()) return;
  const string model = ModelOf(state, state_file);
  ENFORCE(!run.has_model_checksum() || run.model_checksum() == FileCrc32(model))
      << model << ": is damaged, or not the one that belongs to " << state_file
      << ": its checksum does not fit";
}

void CheckSnapshot(const string& state_file) {
  SolverState state;
  ReadProtoFromBinaryFileOrDie(state_file, &state);
  // Cut off between two fields, a file can still be read. Upstream writes these, in this order.
  ENFORCE(state.has_iter() && state.has_learned_net() && state.has_current_step())
      << state_file << ": is cut off, or no .solverstate file";
  LOG_IF(WARNING, !state.run_state().has_checksum())
      << state_file << ": has no checksum: it is another program's, or cut off";
  CheckSnapshot(state, state_file);
}

void SetChecksum(SolverState* state) {
  state->mutable_run_state()->set_checksum(ChecksumOf(*state));
}

template void Solver<float>::CheckSnapshotWritePermissions();
template void Solver<double>::CheckSnapshotWritePermissions();
template string Solver<float>::SnapshotFilename(const string&);
template string Solver<double>::SnapshotFilename(const string&);
template string Solver<float>::SnapshotToBinaryProto();
template string Solver<double>::SnapshotToBinaryProto();
template string Solver<float>::SnapshotToHDF5();
template string Solver<double>::SnapshotToHDF5();
template void Solver<float>::CheckWeights() const;
template void Solver<double>::CheckWeights() const;
template void Solver<float>::Snapshot();
template void Solver<double>::Snapshot();
template void Solver<float>::Restore(const char*);
template void Solver<double>::Restore(const char*);
template void Solver<float>::StateToProto(const string&, SolverState*) const;
template void Solver<double>::StateToProto(const string&, SolverState*) const;
template void Solver<float>::StateFromProto(const SolverState&, const string&);
template void Solver<double>::StateFromProto(const SolverState&, const string&);

}  // namespace caffe

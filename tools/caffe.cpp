// caffe train|test|time|device_query: the command line of Caffe 1.0.
#include <algorithm>
#include <cmath>
#include <iomanip>
#include <thread>

#include "caffe/caffe.hpp"
#include "caffe/util/device.hpp"
#include "caffe/util/signal_handler.h"
#include "tools/common/use_device.hpp"
#include "util/comma_list.hpp"
#include "util/flag_help.hpp"
#include "util/nearest_name.hpp"
#include "util/snapshots.hpp"
#include "util/threads.hpp"

DEFINE_string(solver, "", "solver definition (.prototxt) for 'train'");
DEFINE_string(model, "", "network definition (.prototxt) for 'test' and 'time'");
DEFINE_string(phase, "", "TRAIN or TEST, for 'time'; TRAIN if not given");
DEFINE_int32(level, 0, "level of the network's state");
DEFINE_string(stage, "", "stages of the network's state, separated by commas");
DEFINE_string(snapshot, "",
              "snapshot (.solverstate) to resume 'train' from; 'latest': the newest of "
              "snapshot_prefix that is "
              "whole");
DEFINE_int32(snapshot_keep, 0, "snapshots that 'train' keeps, the newest; 0: all");
DEFINE_string(
    weights, "",
    "weights (.caffemodel) to start from, separated by commas; with --snapshot=FILE only for "
    "regularization_type L2-SP");
DEFINE_int32(iterations, 50, "number of batches for 'test' and 'time'");
DEFINE_string(sigint_effect, "stop", "what 'train' does on SIGINT: stop, snapshot or none");
DEFINE_string(sighup_effect, "snapshot", "what 'train' does on SIGHUP: stop, snapshot or none");

namespace {

using namespace caffe;  // NOLINT

const char kUsage[] =
    "caffe COMMAND FLAGS\n\n"
    "  caffe train --solver=solver.prototxt [--snapshot=x.solverstate | --weights=x.caffemodel]\n"
    "  caffe test --model=net.prototxt --weights=x.caffemodel [--iterations=50]\n"
    "  caffe time --model=net.prototxt [--iterations=50] [--phase=TEST]\n"
    "  caffe device_query\n\n"
    "All flags: caffe --help";

void RequireFlag(const char* name) {
  string value;
  gflags::GetCommandLineOption(name, &value);
  ENFORCE(!value.empty()) << "flag --" << name << " is missing";
}

// In 'train', where --gpu is not given. A file that says nothing trains on the CPU, although the
// field's default is GPU.
void FollowSolverMode(const SolverParameter& param) {
  if (!FLAGS_gpu.empty() || !param.has_solver_mode()) return;
  if (param.solver_mode() != SolverParameter::GPU) return;
  string why_not;
  if (Device::IsThere(&why_not)) {
    FLAGS_gpu = std::to_string(param.device_id());
  } else {
    LOG(WARNING) << FLAGS_solver << ": solver_mode is GPU, but " << why_not;
  }
}

SolverAction::Enum ActionOf(const char* flag, const string& value) {
  if (value == "stop") return SolverAction::STOP;
  if (value == "snapshot") return SolverAction::SNAPSHOT;
  ENFORCE(value == "none") << "--" << flag << "=" << value << ": stop, snapshot or none";
  return SolverAction::NONE;
}

void Train() {
  RequireFlag("solver");
  SolverParameter param;
  ReadSolverParamsFromTextFileOrDie(FLAGS_solver, &param);
  // It pulls a resumed run, too, towards the weights that the training began with.
  const bool l2_sp = param.regularization_type() == "L2-SP";
  ENFORCE(l2_sp || FLAGS_snapshot.empty() || FLAGS_snapshot == "latest" || FLAGS_weights.empty())
      << "--snapshot and --weights cannot both be given";
  NetState* state = param.mutable_train_state();
  if (!gflags::GetCommandLineFlagInfoOrDie("level").is_default) state->set_level(FLAGS_level);
  for (const string& stage : SplitAtCommas(FLAGS_stage)) state->add_stage(stage);
  FollowSolverMode(param);
  const vector<int> gpus = UseDevices();
  if (gpus.size() > 1) {
    Caffe::set_solver_count(static_cast<int>(gpus.size()));
    LOG(INFO) << "batch_size is that of each GPU: an iteration has " << gpus.size()
              << " times as many images";
  }
  SignalHandler signals(ActionOf("sigint_effect", FLAGS_sigint_effect),
                        ActionOf("sighup_effect", FLAGS_sighup_effect));
  ENFORCE(FLAGS_snapshot_keep >= 0)
      << "--snapshot_keep=" << FLAGS_snapshot_keep << ": must not be negative";
  string snapshot = FLAGS_snapshot;
  if (snapshot == "latest") {
    snapshot = NewestGoodSnapshot(param.snapshot_prefix(), ".solverstate",
                                  [](const string& file) { CheckSnapshot(file); });
  }
  if (!snapshot.empty()) AdoptSnapshotSeed(snapshot, &param);
  if (!snapshot.empty() && !l2_sp) {
    param.clear_weights();
  } else if (!FLAGS_weights.empty()) {
    param.clear_weights();
    param.add_weights(FLAGS_weights);
  }
  ENFORCE(param.has_max_iter() && param.max_iter() >= 0)
      << FLAGS_solver << ": max_iter is "
      << (param.has_max_iter() ? std::to_string(param.max_iter()) : "not given");
  ENFORCE(param.has_lr_policy()) << FLAGS_solver << ": lr_policy is not given";
  shared_ptr<Solver<float>> solver;
  try {
    solver.reset(SolverRegistry<float>::CreateSolver(param));
  } catch (const Error& e) {
    throw Error(FLAGS_solver + ": " + e.what());
  }
  if (!solver->param().debug_info()) {
    solver->net()->ReuseMemory();
    for (const auto& net : solver->test_nets()) net->ReuseMemory(false);
  }
  solver->SetActionFunction(signals.GetActionFunction());
  solver->set_snapshot_keep(FLAGS_snapshot_keep);
  if (!snapshot.empty()) {
    LOG(INFO) << "Resuming from " << snapshot;
    solver->Restore(snapshot.c_str());
  }
  LOG(INFO) << "Starting Optimization";
  if (gpus.size() > 1) {
    DataParallel<float>(solver, gpus, snapshot).Solve();
  } else {
    solver->Solve();
  }
}

shared_ptr<Net<float>> MakeNet(Phase phase) {
  RequireFlag("model");
  ENFORCE(FLAGS_iterations > 0) << "--iterations=" << FLAGS_iterations << ": must be above 0";
  const vector<string> stages = SplitAtCommas(FLAGS_stage);
  shared_ptr<Net<float>> net(new Net<float>(FLAGS_model, phase, FLAGS_level, &stages));
  ENFORCE(!net->layers().empty()) << FLAGS_model << ": has no layer in phase " << Phase_Name(phase);
  return net;
}

// Puts the model's file in front of a mistake that shows when its net runs.
template <class Work>
void InModel(const Work& work) {
  try {
    work();
  } catch (const Error& e) {
    throw Error(FLAGS_model + ": " + e.what());
  }
}

void Test() {
  RequireFlag("weights");
  const vector<string> weights = SplitAtCommas(FLAGS_weights);
  ENFORCE(!weights.empty()) << "--weights=" << FLAGS_weights << ": names no file";
  UseDevice();
  const auto net = MakeNet(TEST);
  for (const string& file : weights) net->CopyTrainedLayersFrom(file);
  net->ReuseMemory(false);
  LOG(INFO) << "Running for " << FLAGS_iterations << " iterations.";
  struct Score {
    string name;
    float loss_weight;
    double sum;
  };
  vector<Score> scores;
  double loss_sum = 0;
  for (int i = 0; i < FLAGS_iterations; ++i) {
    float loss = 0;
    InModel([&] { net->Forward(&loss); });
    loss_sum += loss;
    size_t index = 0;
    for (const int id : net->output_blob_indices()) {
      const Blob<float>& blob = *net->blobs()[id];
      for (int k = 0; k < blob.count(); ++k, ++index) {
        const float value = blob.cpu_data()[k];
        const string& name = net->blob_names()[id];
        ENFORCE(std::isfinite(value)) << FLAGS_weights << " with " << FLAGS_model << ": batch " << i
                                      << ": " << name << " is " << value;
        LOG(INFO) << "Batch " << i << ", " << name << " = " << value;
        if (index == scores.size()) scores.push_back({name, net->blob_loss_weights()[id], 0});
        scores[index].sum += value;
      }
    }
  }
  LOG(INFO) << "Loss: " << loss_sum / FLAGS_iterations;
  for (const Score& score : scores) {
    const double mean = score.sum / FLAGS_iterations;
    ostringstream loss;
    if (score.loss_weight != 0) {
      loss << " (* " << score.loss_weight << " = " << score.loss_weight * mean << " loss)";
    }
    LOG(INFO) << score.name << " = " << mean << loss.str();
  }
}

void TimePasses(Net<float>* net) {
  const int layers = static_cast<int>(net->layers().size());
  // Allocates, and creates what is created at first use.
  float initial_loss = 0;
  net->Forward(&initial_loss);
  LOG(INFO) << "Initial loss: " << initial_loss;
  net->Backward();
  LOG(INFO) << "*** Benchmark begins ***";
  LOG(INFO) << "Testing for " << FLAGS_iterations << " iterations.";
  vector<double> forward(layers, 0.0), backward(layers, 0.0);  // ms
  double forward_sum = 0, backward_sum = 0;
  Timer total;
  total.Start();
  for (int n = 0; n < FLAGS_iterations; ++n) {
    Timer iteration, pass, layer;
    iteration.Start();
    pass.Start();
    for (int i = 0; i < layers; ++i) {
      layer.Start();
      net->ForwardFromTo(i, i);
      forward[i] += layer.MilliSeconds();
    }
    forward_sum += pass.MilliSeconds();
    pass.Start();
    for (int i = layers - 1; i >= 0; --i) {
      layer.Start();
      net->BackwardFromTo(i, i);
      backward[i] += layer.MilliSeconds();
    }
    backward_sum += pass.MilliSeconds();
    LOG(INFO) << "Iteration: " << n + 1 << " forward-backward time: " << iteration.MilliSeconds()
              << " ms.";
  }
  const double total_ms = total.MilliSeconds();
  LOG(INFO) << "Average time per layer: ";
  for (int i = 0; i < layers; ++i) {
    const string& name = net->layer_names()[i];
    LOG(INFO) << std::setw(10) << name << "\tforward: " << forward[i] / FLAGS_iterations << " ms.";
    LOG(INFO) << std::setw(10) << name << "\tbackward: " << backward[i] / FLAGS_iterations
              << " ms.";
  }
  LOG(INFO) << "Average Forward pass: " << forward_sum / FLAGS_iterations << " ms.";
  LOG(INFO) << "Average Backward pass: " << backward_sum / FLAGS_iterations << " ms.";
  LOG(INFO) << "Average Forward-Backward: " << total_ms / FLAGS_iterations << " ms.";
  LOG(INFO) << "Total Time: " << total_ms << " ms.";
  LOG(INFO) << "*** Benchmark ends ***";
}

void Time() {
  ENFORCE(FLAGS_phase.empty() || FLAGS_phase == "TRAIN" || FLAGS_phase == "TEST")
      << "--phase=" << FLAGS_phase << ": TRAIN or TEST";
  UseDevice();
  const auto net = MakeNet(FLAGS_phase == "TEST" ? TEST : TRAIN);
  InModel([&] { TimePasses(net.get()); });
}

void DeviceQuery() {
  const vector<int> gpus = GpusToQuery();
  string model = "unknown";
  std::ifstream info("/proc/cpuinfo");
  for (string line; std::getline(info, line);) {
    if (line.compare(0, 10, "model name") != 0) continue;
    model = line.substr(std::min(line.size(), line.find(':') + 2));
    break;
  }
  LOG(INFO) << "CPU: " << model;
  LOG(INFO) << "CPUs available: " << AvailableCpus() << " of "
            << std::thread::hardware_concurrency();
  string why_not;
  if (!Device::IsThere(&why_not)) LOG(INFO) << "GPUs: none (" << why_not << ")";
  for (const int id : gpus) {
    Caffe::SetDevice(id);
    LOG(INFO) << "GPU " << id << ":";
    Caffe::DeviceQuery();
  }
}

int Run(int argc, char** argv) {
  gflags::SetVersionString("1.0");
  gflags::SetUsageMessage(kUsage);
  FLAGS_log_year_in_prefix = false;  // "I1124 13:39:22.381027", which parse_log.py reads
  GlobalInit(&argc, &argv);
  ENFORCE(argc >= 2) << "no command; train, test, time or device_query (caffe --help)";
  ENFORCE(argc == 2) << argv[1] << ": unexpected argument '" << argv[2]
                     << "'; flags are written --NAME=VALUE";
  struct Command {
    void (*run)();
    vector<CommandFlag> flags;
  };
  const map<string, Command> commands = {
      {"train",
       {&Train,
        {"solver", "snapshot", "snapshot_keep", "weights", "gpu", "level", "stage", "sigint_effect",
         "sighup_effect"}}},
      {"test", {&Test, {"model", "weights", "iterations", "gpu", "level", "stage"}}},
      {"time", {&Time, {"model", "iterations", "phase", "gpu", "level", "stage"}}},
      {"device_query", {&DeviceQuery, {"gpu"}}}};
  const auto command = commands.find(argv[1]);
  if (command == commands.end()) {
    vector<string> names;
    for (const auto& entry : commands) names.push_back(entry.first);
    THROW_ERROR << "unknown command '" << argv[1] << "'" << DidYouMean(argv[1], names)
                << "; train, test, time or device_query";
  }
  // Upstream takes them without a word, and so do the scripts that were written for it.
  for (const string& flag : GivenBeside(command->second.flags)) {
    LOG(WARNING) << "--" << flag << " is not a flag of " << argv[1] << " and has no effect";
  }
  command->second.run();
  return 0;
}

// Beside a GPU the CPU's threads start kernels: on several, each needs a CPU of its own.
bool NamesGpu(int argc, char** argv) {
  return std::any_of(argv + 1, argv + argc, [](const string& argument) {
    return argument.compare(0, 4, "-gpu") == 0 || argument.compare(0, 5, "--gpu") == 0;
  });
}

}  // namespace

int main(int argc, char** argv) {
  ConfigureThreads(argv, !NamesGpu(argc, argv));
  try {
    return Run(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "ERROR: " << e.what() << std::endl;
    return 1;
  }
}

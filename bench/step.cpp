// bench_step: the time of training steps, the share of each layer type, and memory, as one line of
// JSON.
//   --pass=train  ClearParamDiffs, Forward, Backward, ApplyUpdate with Adam; phi is frozen
//   --pass=meta   the two passes of meta-training in turn, as the meta-solver makes them
// Layers that are computed together count as the first of them.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "bench/common.hpp"
#include "caffe/layers/base_data_layer.hpp"
#include "caffe/sgd_solvers.hpp"
#include "caffe/util/device.hpp"
#include "caffe/util/io.hpp"
#include "solvers/meta_task.hpp"
#include "tools/common/use_device.hpp"
#include "tools/metaperturb/model_builder.hpp"
#include "util/temporary_folder.hpp"

DEFINE_string(model, "resnet20", "resnet20, vgg9 or mobilenet");
DEFINE_bool(mp, false, "With MetaPerturb layers");
DEFINE_string(pass, "train", "train: steps of target training; meta: theta and phi passes");
DEFINE_int32(batch, 128, "Images per step");
DEFINE_int32(crop, 32, "Height and width of the images");
DEFINE_int32(steps, 10, "Steps to measure");
DEFINE_int32(warmup, 3, "Steps before, not measured");
DEFINE_int32(profile, 3, "Further steps in which the layers are timed one by one; 0: none");
DEFINE_string(data, "", "LMDB to train from, with random crop and mirror; default: fixed images");
DEFINE_string(engine, "", "Of the convolutions: CAFFE or CUDNN; default: as without it");
DEFINE_bool(serve, false, "Measure again for every line of standard input");

namespace {

using caffe::Net;
using metaperturb::bench::JsonLine;
using metaperturb::bench::Median;
using metaperturb::bench::Stopwatch;

caffe::SolverParameter Adam() {
  metaperturb::SolverOptions options;
  caffe::SolverParameter param = metaperturb::BuildSolver(options);
  param.clear_net();
  param.clear_test_iter();
  param.clear_test_interval();
  param.clear_snapshot_prefix();
  param.set_snapshot_after_train(false);
  param.set_display(0);
  param.set_random_seed(1);
  return param;
}

caffe::NetParameter Model(bool shared_phi) {
  caffe::NetParameter net = metaperturb::bench::TrainingModel(FLAGS_model, FLAGS_mp, shared_phi,
                                                              FLAGS_batch, FLAGS_crop, FLAGS_data);
  if (FLAGS_engine.empty()) return net;
  caffe::ConvolutionParameter::Engine engine;
  ENFORCE(caffe::ConvolutionParameter::Engine_Parse(FLAGS_engine, &engine))
      << "--engine=" << FLAGS_engine << ": CAFFE or CUDNN";
  for (caffe::LayerParameter& layer : *net.mutable_layer()) {
    if (layer.type() == "Convolution") layer.mutable_convolution_param()->set_engine(engine);
  }
  return net;
}

// What was started runs until then.
void WaitForGpu() {
  if (caffe::Caffe::mode() == caffe::Caffe::GPU) caffe::Device::Get().Synchronize();
}

/// Sums the time between "before" and "after" callbacks by layer type, while it is switched on.
class LayerTimes {
 public:
  explicit LayerTimes(Net<float>* net) : before_(this), after_(this), net_(net) {
    net->add_before_forward(&before_);
    net->add_after_forward(&after_);
    net->add_before_backward(&before_);
    net->add_after_backward(&after_);
  }
  void Enable(bool on) { on_ = on; }
  std::map<std::string, double> TakeMilliseconds() { return std::move(sums_); }

 private:
  struct Before : Net<float>::Callback {
    explicit Before(LayerTimes* times) : times_(times) {}
    void run(int) override {
      if (!times_->on_) return;
      WaitForGpu();
      times_->watch_ = Stopwatch();
    }
    LayerTimes* times_;
  };
  struct After : Net<float>::Callback {
    explicit After(LayerTimes* times) : times_(times) {}
    void run(int layer) override {
      if (!times_->on_) return;
      WaitForGpu();
      times_->sums_[times_->net_->layers()[layer]->type()] += times_->watch_.Milliseconds();
    }
    LayerTimes* times_;
  };
  Before before_;
  After after_;
  Net<float>* net_;
  bool on_ = false;
  Stopwatch watch_;
  std::map<std::string, double> sums_;
};

double LearnedParameters(const Net<float>& net) {
  double count = 0;
  for (size_t i = 0; i < net.learnable_params().size(); ++i) {
    if (net.params_lr()[i] != 0) count += net.learnable_params()[i]->count();
  }
  return count;
}

void AddHead(JsonLine* line) {
  line->Add("program", "bench_step")
      .Add("model", FLAGS_model)
      .Add("mp", FLAGS_mp)
      .Add("pass", FLAGS_pass)
      .Add("engine", FLAGS_engine)
      .Add("batch", FLAGS_batch)
      .Add("threads", metaperturb::bench::Threads())
      .Add("gpu", FLAGS_gpu);
}

void AddTimes(const std::vector<double>& samples, JsonLine* line) {
  const double median = Median(samples);
  line->Add("median_ms", median)
      .Add("samples_ms", samples)
      .Add("images_per_s", FLAGS_batch * 1e3 / median);
}

double DataWait(const Net<float>& net) {
  double seconds = 0;
  for (const auto& layer : net.layers()) {
    const auto* data = dynamic_cast<caffe::BasePrefetchingDataLayer<float>*>(layer.get());
    if (data) seconds += data->wait_seconds();
  }
  return seconds * 1e3;
}

void Train() {
  caffe::SolverParameter param = Adam();
  *param.mutable_train_net_param() = Model(false);
  caffe::AdamSolver<float> solver(param);
  Net<float>& net = *solver.net();
  net.ReuseMemory();  // as `caffe train` does
  metaperturb::bench::SyntheticData data(FLAGS_batch, 3 * FLAGS_crop * FLAGS_crop, 10);
  data.Feed(&net);
  LayerTimes layers(&net);
  const auto step = [&] {
    const Stopwatch watch;
    net.ClearParamDiffs();
    net.ForwardBackward();
    solver.ApplyUpdate();
    WaitForGpu();
    return watch.Milliseconds();
  };
  for (int i = 0; i < FLAGS_warmup; ++i) step();
  metaperturb::bench::Serve(FLAGS_serve, [&] {
    if (FLAGS_serve) step();  // the first one after a wait is slower
    std::vector<double> samples, profiled;
    const double waited = DataWait(net);
    for (int i = 0; i < FLAGS_steps; ++i) samples.push_back(step());
    const double wait = DataWait(net) - waited;
    layers.Enable(true);
    for (int i = 0; i < FLAGS_profile; ++i) profiled.push_back(step());
    layers.Enable(false);

    JsonLine line;
    AddHead(&line);
    line.Add("parameters", LearnedParameters(net));
    AddTimes(samples, &line);
    double all = 0;
    for (const double sample : samples) all += sample;
    if (!FLAGS_data.empty()) line.Add("data_wait_share", wait / all);
    if (!profiled.empty()) {
      std::map<std::string, double> times = layers.TakeMilliseconds();
      double whole = 0, inside = 0;
      for (const double sample : profiled) whole += sample;
      for (auto& type : times) inside += type.second;
      times["outside layers"] = whole - inside;  // the update of the weights, mostly
      std::map<std::string, double> shares;
      for (auto& type : times) {
        shares[type.first] = type.second / whole;
        type.second /= FLAGS_profile;
      }
      line.Add("layer_ms", times).Add("layer_share", shares);
    }
    line.Add("peak_memory_mib", metaperturb::bench::PeakMemory()).Print();
  });
}

/// A text file with a net, in a folder of its own, for as long as the object lives.
class NetFile {
 public:
  explicit NetFile(const caffe::NetParameter& net) {
    std::string pattern = (caffe::TemporaryFolder() / "bench_step_XXXXXX").string();
    ENFORCE(mkdtemp(&pattern[0])) << pattern << ": cannot be made";
    folder_ = pattern;
    caffe::WriteProtoToTextFile(net, path());
  }
  ~NetFile() { std::filesystem::remove_all(folder_); }
  std::string path() const { return folder_ + "/net.prototxt"; }

 private:
  std::string folder_;
};

void Meta() {
  ENFORCE(FLAGS_mp) << "--pass=meta needs --mp";
  ENFORCE(FLAGS_data.empty()) << "--pass=meta takes no --data";
  const NetFile file(Model(true));
  caffe::MetaSolverParameter run;
  run.set_net(file.path());
  run.add_task();
  *run.mutable_theta() = Adam();
  *run.mutable_phi() = Adam();
  run.set_max_iter(1000000);
  caffe::NetFiles nets;
  caffe::MetaTask<float> task(run, &nets, 0, 1);
  task.Borrow(task.theta_net());
  metaperturb::bench::SyntheticData data(FLAGS_batch, 3 * FLAGS_crop * FLAGS_crop, 10);
  data.Feed(&task.theta_net());
  data.Feed(&task.val_net());
  const auto step = [&task](std::vector<double>* theta, std::vector<double>* phi) {
    const Stopwatch theta_watch;
    task.StepTheta();
    WaitForGpu();
    theta->push_back(theta_watch.Milliseconds());
    const Stopwatch phi_watch;
    task.Validate(1);
    phi->push_back(phi_watch.Milliseconds());
  };
  std::vector<double> unused;
  for (int i = 0; i < FLAGS_warmup; ++i) step(&unused, &unused);
  metaperturb::bench::Serve(FLAGS_serve, [&] {
    if (FLAGS_serve) step(&unused, &unused);
    std::vector<double> theta, phi, both;
    for (int i = 0; i < FLAGS_steps; ++i) {
      step(&theta, &phi);
      both.push_back(theta.back() + phi.back());
    }
    JsonLine line;
    AddHead(&line);
    AddTimes(both, &line);
    line.Add("theta_ms", theta)
        .Add("phi_ms", phi)
        .Add("theta_median_ms", Median(theta))
        .Add("phi_median_ms", Median(phi))
        .Add("peak_memory_mib", metaperturb::bench::PeakMemory())
        .Print();
  });
}

void Run() {
  ENFORCE(FLAGS_steps > 0) << "--steps=" << FLAGS_steps << ": must be above 0";
  ENFORCE(FLAGS_warmup >= 0 && FLAGS_profile >= 0) << "--warmup and --profile: not below 0";
  ENFORCE(FLAGS_pass == "train" || FLAGS_pass == "meta")
      << "--pass=" << FLAGS_pass << ": train or meta";
  caffe::UseDevice();
  FLAGS_pass == "train" ? Train() : Meta();
}

}  // namespace

int main(int argc, char** argv) {
  return metaperturb::bench::Main(argc, argv,
                                  "bench_step --model=resnet20|vgg9|mobilenet [--mp] "
                                  "[--pass=train|meta] [--data=LMDB] [--steps=N] [--gpu=0]",
                                  &Run);
}

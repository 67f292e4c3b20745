#include "tools/metaperturb/model_builder.hpp"

#include <algorithm>
#include <map>

#include "caffe/common.hpp"
#include "util/error.hpp"
#include "util/nearest_name.hpp"

namespace metaperturb {

namespace {

using caffe::LayerParameter;
using caffe::NetParameter;
using std::string;

// Appends layers; each function takes a blob's name and returns that of its result.
class Builder {
 public:
  Builder(const string& name, const ModelOptions& options) : options_(options) {
    net_.set_name(name);
    AddData(caffe::TRAIN, options.train_source, options.batch);
    AddData(caffe::TEST, options.test_source, options.test_batch);
  }

  string Convolution(const string& name, const string& bottom, int outputs, int kernel, int stride,
                     int group = 1) {
    LayerParameter* layer = Add(name, "Convolution", {bottom}, name);
    caffe::ConvolutionParameter* param = layer->mutable_convolution_param();
    param->set_num_output(outputs);
    param->set_bias_term(false);
    param->add_kernel_size(kernel);
    if (kernel > 1) param->add_pad(kernel / 2);
    if (stride > 1) param->add_stride(stride);
    if (group > 1) param->set_group(group);
    param->mutable_weight_filler()->set_type("msra");
    // Of a depthwise convolution, Caffe's fan out counts all channels; one group has fan in.
    param->mutable_weight_filler()->set_variance_norm(
        group > 1 ? caffe::FillerParameter_VarianceNorm_FAN_IN
                  : caffe::FillerParameter_VarianceNorm_FAN_OUT);
    return name;
  }

  // BatchNorm and Scale; the latter in place.
  string Normalise(const string& bottom) {
    const string name = bottom + "_bn";
    LayerParameter* norm = Add(name, "BatchNorm", {bottom}, name);
    norm->mutable_batch_norm_param()->set_moving_average_fraction(0.9f);
    LayerParameter* scale = Add(bottom + "_scale", "Scale", {name}, name);
    scale->mutable_scale_param()->set_bias_term(true);
    return name;
  }

  string Relu(const string& blob) {
    Add(blob + "_relu", "ReLU", {blob}, blob);
    return blob;
  }

  string ConvolutionUnit(const string& name, const string& bottom, int outputs, int kernel,
                         int stride, int group = 1) {
    return Relu(Normalise(Convolution(name, bottom, outputs, kernel, stride, group)));
  }

  string Pool(const string& name, const string& bottom, int kernel, int stride) {
    caffe::PoolingParameter* param = Add(name, "Pooling", {bottom}, name)->mutable_pooling_param();
    param->set_kernel_size(kernel);
    param->set_stride(stride);
    param->set_round_mode(caffe::PoolingParameter_RoundMode_FLOOR);
    return name;
  }

  // Every second pixel, with as many zero channels again.
  string Shortcut(const string& name, const string& bottom) {
    const string small = Pool(name + "_sub", bottom, 1, 2);
    const string zero = name + "_zero";
    Add(zero, "Power", {small}, zero)->mutable_power_param()->set_scale(0);
    Add(name, "Concat", {small, zero}, name);
    return name;
  }

  string Sum(const string& name, const string& a, const string& b) {
    Add(name, "Eltwise", {a, b}, name);
    return name;
  }

  NetParameter Classify(const string& bottom) {
    caffe::PoolingParameter* pool =
        Add("pool", "Pooling", {bottom}, "pool")->mutable_pooling_param();
    pool->set_pool(caffe::PoolingParameter_PoolMethod_AVE);
    pool->set_global_pooling(true);
    caffe::InnerProductParameter* fc =
        Add("fc", "InnerProduct", {"pool"}, "fc")->mutable_inner_product_param();
    fc->set_num_output(options_.classes);
    fc->mutable_weight_filler()->set_type("xavier");
    LayerParameter* loss = Add("loss", "SoftmaxWithLoss", {"fc", "label"}, "loss");
    string scores = "fc";
    if (options_.test_samples > 1) {
      loss->add_include()->set_phase(caffe::TRAIN);
      scores = MeanPrediction();
    }
    InTest(Add("accuracy", "Accuracy", {scores, "label"}, "accuracy"));
    return net_;
  }

 private:
  LayerParameter* Add(const string& name, const string& type, const std::vector<string>& bottoms,
                      const string& top) {
    LayerParameter* layer = net_.add_layer();
    layer->set_name(name);
    layer->set_type(type);
    for (const string& bottom : bottoms) layer->add_bottom(bottom);
    layer->add_top(top);
    return layer;
  }

  static LayerParameter* InTest(LayerParameter* layer) {
    layer->add_include()->set_phase(caffe::TEST);
    return layer;
  }

  // In TEST, every image stands test_samples times in the batch: here the copies' softmax is
  // averaged.
  string MeanPrediction() {
    InTest(Add("prob", "Softmax", {"fc"}, "prob"));
    LayerParameter* slice = InTest(Add("samples", "Slice", {"prob"}, "sample1"));
    slice->mutable_slice_param()->set_axis(0);
    std::vector<string> samples{"sample1"};
    for (int i = 2; i <= options_.test_samples; ++i) {
      samples.push_back("sample" + std::to_string(i));
      slice->add_top(samples.back());
    }
    InTest(Add("mean_prob", "Eltwise", samples, "mean_prob"));  // the sum ranks classes alike
    return "mean_prob";
  }

  void AddData(caffe::Phase phase, const string& source, int batch) {
    const bool copies = phase == caffe::TEST && options_.test_samples > 1;
    const string top = copies ? "image" : "data";
    LayerParameter* layer = Add("data", "Data", {}, top);
    layer->add_top("label");
    layer->add_include()->set_phase(phase);
    caffe::TransformationParameter* transform = layer->mutable_transform_param();
    transform->set_crop_size(options_.crop);
    transform->add_mean_value(127.5f);
    transform->set_scale(1 / 127.5f);
    if (phase == caffe::TRAIN) transform->set_mirror(true);
    caffe::DataParameter* data = layer->mutable_data_param();
    data->set_source(source);
    data->set_batch_size(batch);
    data->set_backend(caffe::DataParameter_DB_LMDB);
    if (!copies) return;
    const std::vector<string> images(options_.test_samples, top);
    InTest(Add("copies", "Concat", images, "data"))->mutable_concat_param()->set_axis(0);
  }

  ModelOptions options_;
  NetParameter net_;
};

NetParameter ResNet20(const ModelOptions& options) {
  Builder b("ResNet-20", options);
  string x = b.ConvolutionUnit("conv1", "data", 16, 3, 1);
  for (int stage = 0; stage < 3; ++stage) {
    const int channels = 16 << stage;
    for (int block = 0; block < 3; ++block) {
      const string name = "res" + std::to_string(stage + 2) + std::string(1, char('a' + block));
      const bool shrink = stage > 0 && block == 0;
      string y = b.ConvolutionUnit(name + "_conv1", x, channels, 3, shrink ? 2 : 1);
      y = b.Normalise(b.Convolution(name + "_conv2", y, channels, 3, 1));
      x = b.Relu(b.Sum(name, shrink ? b.Shortcut(name + "_shortcut", x) : x, y));
    }
  }
  return b.Classify(x);
}

NetParameter Vgg9(const ModelOptions& options) {
  Builder b("VGG-9", options);
  string x = "data";
  int conv = 0, pool = 0;
  for (const int channels : {64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512}) {
    if (channels) {
      x = b.ConvolutionUnit("conv" + std::to_string(++conv), x, channels, 3, 1);
    } else {
      x = b.Pool("pool" + std::to_string(++pool), x, 2, 2);
    }
  }
  return b.Classify(x);
}

NetParameter MobileNet(const ModelOptions& options) {
  Builder b("MobileNet", options);
  string x = b.ConvolutionUnit("conv1", "data", 32, 3, 1);
  int in = 32, unit = 1;
  const std::pair<int, int> units[] = {{64, 1},  {128, 2},  {128, 1}, {256, 2}, {256, 1},
                                       {512, 2}, {512, 1},  {512, 1}, {512, 1}, {512, 1},
                                       {512, 1}, {1024, 2}, {1024, 1}};
  for (const auto& [channels, stride] : units) {
    const string name = "conv" + std::to_string(++unit);
    x = b.ConvolutionUnit(name + "_dw", x, in, 3, stride, in);
    x = b.ConvolutionUnit(name + "_pw", x, channels, 1, 1);
    in = channels;
  }
  return b.Classify(x);
}

}  // namespace

NetParameter BuildModel(const string& name, const ModelOptions& options) {
  const std::map<string, NetParameter (*)(const ModelOptions&)> models = {
      {"resnet20", ResNet20}, {"vgg9", Vgg9}, {"mobilenet", MobileNet}};
  const auto found = models.find(name);
  if (found == models.end()) {
    std::vector<string> known;
    for (const auto& entry : models) known.push_back(entry.first);
    THROW_ERROR << "unknown model '" << name << "'" << caffe::DidYouMean(name, known);
  }
  return found->second(options);
}

caffe::SolverParameter BuildSolver(const SolverOptions& options) {
  caffe::SolverParameter solver;
  solver.set_net(options.net);
  solver.add_test_iter(options.test_iter);
  solver.set_test_interval(std::max(1, options.max_iter / options.tests));
  solver.set_test_initialization(false);
  solver.set_type("Adam");
  solver.set_base_lr(options.base_lr);
  solver.set_momentum(0.9f);
  solver.set_momentum2(0.999f);
  solver.set_weight_decay(5e-4f);
  solver.set_lr_policy("multistep");
  solver.set_gamma(0.3f);
  for (const int percent : {40, 70, 90}) {
    solver.add_stepvalue(static_cast<int>(int64_t{options.max_iter} * percent / 100));
  }
  solver.set_max_iter(options.max_iter);
  solver.set_display(std::max(1, std::min(100, options.max_iter / 20)));
  solver.set_average_loss(solver.display());
  solver.set_snapshot_prefix(options.snapshot_prefix);
  solver.set_solver_mode(caffe::SolverParameter_SolverMode_CPU);
  if (options.seed >= 0) solver.set_random_seed(options.seed);
  return solver;
}

}  // namespace metaperturb

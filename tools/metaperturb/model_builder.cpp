#include "tools/metaperturb/model_builder.hpp"

#include <algorithm>
#include <functional>
#include <map>

#include "caffe/common.hpp"
#include "tools/metaperturb/model_layers.hpp"
#include "util/error.hpp"
#include "util/nearest_name.hpp"

namespace metaperturb {

namespace {

using caffe::NetParameter;
using std::string;

// Networks for large images halve them at their beginning.
bool IsLarge(const ModelOptions& options) {
  return options.crop > 64;
}

// "res2a": block 0 of stage 0; the first stage's convolution counts as stage 1.
string BlockName(const string& prefix, int stage, int block) {
  return prefix + std::to_string(stage + 2) + string(1, static_cast<char>('a' + block));
}

// For 32x32: depth = 6 blocks + 2.
NetParameter CifarResNet(int blocks, const ModelOptions& options) {
  ModelLayers net("ResNet-" + std::to_string(6 * blocks + 2), options);
  string x = net.ConvolutionUnit("conv1", "data", 16, 3, 1);
  for (int stage = 0; stage < 3; ++stage) {
    const int channels = 16 << stage;
    for (int block = 0; block < blocks; ++block) {
      const string name = BlockName("res", stage, block);
      const bool shrink = stage > 0 && block == 0;
      string y = net.ConvolutionUnit(name + "_conv1", x, channels, 3, shrink ? 2 : 1);
      y = net.Normalise(net.Convolution(name + "_conv2", y, channels, 3, 1));
      x = net.Relu(net.Sum(name, shrink ? net.ZeroPaddedShortcut(name + "_shortcut", x) : x, y));
    }
  }
  return net.Classify(net.AveragePool(x));
}

// For large images; shortcuts are 1x1 convolutions where the shape changes.
NetParameter ResNet(int depth, const std::vector<int>& blocks, bool bottleneck,
                    const ModelOptions& options) {
  ModelLayers net("ResNet-" + std::to_string(depth), options);
  string x = net.ConvolutionUnit("conv1", "data", 64, 7, 2);
  x = net.Pool("pool1", x, 3, 2, 1);
  int in = 64;
  for (int stage = 0; stage < 4; ++stage) {
    const int inner = 64 << stage, out = bottleneck ? 4 * inner : inner;
    for (int block = 0; block < blocks[stage]; ++block) {
      const string name = BlockName("res", stage, block);
      const int stride = stage > 0 && block == 0 ? 2 : 1;
      string y;
      if (bottleneck) {
        y = net.ConvolutionUnit(name + "_conv1", x, inner, 1, 1);
        y = net.ConvolutionUnit(name + "_conv2", y, inner, 3, stride);
        y = net.Normalise(net.Convolution(name + "_conv3", y, out, 1, 1));
      } else {
        y = net.ConvolutionUnit(name + "_conv1", x, inner, 3, stride);
        y = net.Normalise(net.Convolution(name + "_conv2", y, out, 3, 1));
      }
      if (stride > 1 || in != out) {
        x = net.Normalise(net.Convolution(name + "_shortcut", x, out, 1, stride));
      }
      x = net.Relu(net.Sum(name, x, y));
      in = out;
    }
  }
  return net.Classify(net.AveragePool(x));
}

// Pre-activation blocks; a shortcut with weights reads the activated input.
NetParameter WideResNet(int depth, int width, const ModelOptions& options) {
  ModelLayers net("WRN-" + std::to_string(depth) + "-" + std::to_string(width), options);
  const int blocks = (depth - 4) / 6;
  string x = net.Convolution("conv1", "data", 16, 3, 1);
  int in = 16;
  for (int stage = 0; stage < 3; ++stage) {
    const int channels = (16 << stage) * width;
    for (int block = 0; block < blocks; ++block) {
      const string name = BlockName("wide", stage, block);
      const int stride = stage > 0 && block == 0 ? 2 : 1;
      const string active = net.Relu(net.Normalise(x));
      string y = net.ConvolutionUnit(name + "_conv1", active, channels, 3, stride);
      y = net.Convolution(name + "_conv2", y, channels, 3, 1);
      if (stride > 1 || in != channels) {
        x = net.Convolution(name + "_shortcut", active, channels, 1, stride);
      }
      x = net.Sum(name, x, y);
      in = channels;
    }
  }
  return net.Classify(net.AveragePool(net.Relu(net.Normalise(x))));
}

// Channels of 3x3 convolutions; 0: max pooling by two.
string ConvolutionsAndPools(const std::vector<int>& channels, ModelLayers* net) {
  string x = "data";
  int conv = 0, pool = 0;
  for (const int count : channels) {
    if (count > 0) {
      x = net->ConvolutionUnit("conv" + std::to_string(++conv), x, count, 3, 1);
    } else {
      x = net->Pool("pool" + std::to_string(++pool), x, 2, 2);
    }
  }
  return x;
}

NetParameter Vgg(const string& name, const std::vector<int>& channels,
                 const ModelOptions& options) {
  ModelLayers net(name, options);
  return net.Classify(net.AveragePool(ConvolutionsAndPools(channels, &net)));
}

NetParameter ConvNet(const string& name, const std::vector<int>& channels,
                     const ModelOptions& options) {
  ModelLayers net(name, options);
  return net.Classify(ConvolutionsAndPools(channels, &net));
}

NetParameter MobileNet(const ModelOptions& options) {
  ModelLayers net("MobileNet", options);
  string x = net.ConvolutionUnit("conv1", "data", 32, 3, IsLarge(options) ? 2 : 1);
  int in = 32, unit = 1;
  const std::pair<int, int> units[] = {{64, 1},  {128, 2},  {128, 1}, {256, 2}, {256, 1},
                                       {512, 2}, {512, 1},  {512, 1}, {512, 1}, {512, 1},
                                       {512, 1}, {1024, 2}, {1024, 1}};
  for (const auto& [channels, stride] : units) {
    const string name = "conv" + std::to_string(++unit);
    x = net.ConvolutionUnit(name + "_dw", x, in, 3, stride, in);
    x = net.ConvolutionUnit(name + "_pw", x, channels, 1, 1);
    in = channels;
  }
  return net.Classify(net.AveragePool(x));
}

NetParameter MobileNetV2(const ModelOptions& options) {
  ModelLayers net("MobileNet-v2", options);
  const auto unit = [&](const string& name, const string& bottom, int outputs, int kernel,
                        int stride, int group) {
    return net.Relu6(net.Normalise(net.Convolution(name, bottom, outputs, kernel, stride, group)));
  };
  const int first = IsLarge(options) ? 2 : 1;
  string x = unit("conv1", "data", 32, 3, first, 1);
  int in = 32;
  const struct {
    int expansion, channels, blocks, stride;
  } stages[] = {{1, 16, 1, 1}, {6, 24, 2, first}, {6, 32, 3, 2}, {6, 64, 4, 2},
                {6, 96, 3, 1}, {6, 160, 3, 2},    {6, 320, 1, 1}};
  int number = 0;
  for (const auto& stage : stages) {
    for (int block = 0; block < stage.blocks; ++block) {
      const string name = BlockName("block", number, block);
      const int stride = block == 0 ? stage.stride : 1, wide = in * stage.expansion;
      string y = x;
      if (stage.expansion > 1) y = unit(name + "_expand", y, wide, 1, 1, 1);
      y = unit(name + "_dw", y, wide, 3, stride, wide);
      y = net.Normalise(net.Convolution(name + "_project", y, stage.channels, 1, 1));
      x = stride == 1 && in == stage.channels ? net.Sum(name, x, y) : y;
      in = stage.channels;
    }
    ++number;
  }
  return net.Classify(net.AveragePool(unit("conv_last", x, 1280, 1, 1, 1)));
}

struct Model {
  int crop;
  std::function<NetParameter(const ModelOptions&)> build;
};

const std::map<string, Model>& Models() {
  typedef const ModelOptions& Options;
  static const std::map<string, Model> models = {
      {"resnet20", {32, [](Options o) { return CifarResNet(3, o); }}},
      {"resnet32", {32, [](Options o) { return CifarResNet(5, o); }}},
      {"resnet44", {32, [](Options o) { return CifarResNet(7, o); }}},
      {"resnet56", {32, [](Options o) { return CifarResNet(9, o); }}},
      {"resnet18",
       {84,
        [](Options o) {
          return ResNet(18, {2, 2, 2, 2}, false, o);
        }}},
      {"resnet34",
       {84,
        [](Options o) {
          return ResNet(34, {3, 4, 6, 3}, false, o);
        }}},
      {"resnet50",
       {84,
        [](Options o) {
          return ResNet(50, {3, 4, 6, 3}, true, o);
        }}},
      {"wrn28_2", {32, [](Options o) { return WideResNet(28, 2, o); }}},
      {"vgg9",
       {32,
        [](Options o) {
          return Vgg("VGG-9", {64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512}, o);
        }}},
      {"vgg16",
       {32,
        [](Options o) {
          return Vgg("VGG-16",
                     {64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0},
                     o);
        }}},
      {"conv4",
       {32,
        [](Options o) {
          return ConvNet("Conv4", {64, 0, 64, 0, 64, 0, 64, 0}, o);
        }}},
      {"conv6",
       {32,
        [](Options o) {
          return ConvNet("Conv6", {64, 0, 64, 0, 64, 0, 64, 0, 64, 64}, o);
        }}},
      {"mobilenet", {32, MobileNet}},
      {"mobilenet_v2", {32, MobileNetV2}}};
  return models;
}

const Model& FindModel(const string& name) {
  const auto found = Models().find(name);
  ENFORCE(found != Models().end())
      << "unknown model '" << name << "'" << caffe::DidYouMean(name, ModelNames());
  return found->second;
}

}  // namespace

std::vector<string> ModelNames() {
  std::vector<string> names;
  for (const auto& entry : Models()) names.push_back(entry.first);
  return names;
}

int DefaultCrop(const string& name) {
  return FindModel(name).crop;
}

NetParameter BuildModel(const string& name, const ModelOptions& options) {
  return FindModel(name).build(options);
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

#ifndef METAPERTURB_TOOLS_METAPERTURB_MODEL_BUILDER_HPP_
#define METAPERTURB_TOOLS_METAPERTURB_MODEL_BUILDER_HPP_

#include <cstdint>
#include <string>
#include <vector>

#include "caffe/proto/caffe.pb.h"

namespace metaperturb {

struct ModelOptions {
  int classes = 10;
  int crop = 32;  // height and width of the network's input
  int batch = 128;
  int test_batch = 100;
  int test_samples = 1;  // in TEST, predict with the mean softmax over so many noise samples
  bool accuracy_in_train = false;  // as in TEST; with test_samples = 1 alone
  std::string train_source = "data/train_lmdb";
  std::string test_source = "data/test_lmdb";
};

/// The networks' names.
std::vector<std::string> ModelNames();

/// The images a network is meant for: 32, or 84 for resnet18, resnet34 and resnet50. An unknown
/// name is a caffe::Error.
int DefaultCrop(const std::string& name);

/// Networks with their Data layers, loss, and accuracy in TEST. Pixels enter as
/// (v / 255 - 0.5) / 0.5; convolutions have no bias and start from He's normal (fan out).
///   resnet20, 32, 44, 56   He et al., 2016, section 4.2: 3 stages of 3, 5, 7 or 9 blocks with
///                          16, 32 and 64 channels; where a stage begins, the shortcut is
///                          subsampled and filled up with zero channels
///   resnet18, 34, 50       ibid., section 4.1: 7x7 convolution and max pooling, both of stride
///                          2; 4 stages; shortcuts with a 1x1 convolution where the shape changes.
///                          In resnet50, the 3x3 convolution has the block's stride
///   wrn28_2                Zagoruyko and Komodakis, 2016: pre-activation, 3 stages of 4
///                          blocks, 32, 64 and 128 channels, no dropout
///   vgg9                   64 M 128 M 256 256 M 512 512 M 512 512 (M: max pooling), then global
///                          average pooling
///   vgg16                  Simonyan and Zisserman, 2015, configuration D, with batch
///                          normalisation and global average pooling in place of its fully
///                          connected layers
///   conv4, conv6           Vinyals et al., 2016; Chen et al., 2019: 4 convolutions of 64
///                          channels, each with max pooling; conv6 has two more without
///   mobilenet              Howard et al., 2017: 13 pairs of depthwise and pointwise convolutions
///   mobilenet_v2           Sandler et al., 2018: 17 inverted residual blocks, 1280 channels at
///                          the end
/// Both halve images above 64 pixels in their first convolution, as published (and mobilenet_v2 in
/// its second stage); smaller ones there keep their size. An unknown name is a caffe::Error.
caffe::NetParameter BuildModel(const std::string& name, const ModelOptions& options);

struct SolverOptions {
  std::string net;
  std::string snapshot_prefix;
  int max_iter = 10000;
  float base_lr = 1e-3f;
  int test_iter = 100;  // batches that make up the test set
  int tests = 20;       // during the run
  int64_t seed = -1;    // negative: drawn from the system
};

/// The paper's recipe: Adam, weight decay 5e-4, learning rate x0.3 at 40, 70 and 90 % of max_iter.
caffe::SolverParameter BuildSolver(const SolverOptions& options);

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_METAPERTURB_MODEL_BUILDER_HPP_

#ifndef METAPERTURB_TOOLS_METAPERTURB_MODEL_BUILDER_HPP_
#define METAPERTURB_TOOLS_METAPERTURB_MODEL_BUILDER_HPP_

#include <cstdint>
#include <string>

#include "caffe/proto/caffe.pb.h"

namespace metaperturb {

struct ModelOptions {
  int classes = 10;
  int crop = 32;  // height and width of the network's input
  int batch = 128;
  int test_batch = 100;
  int test_samples = 1;  // in TEST, predict with the mean softmax over so many noise samples
  std::string train_source = "data/train_lmdb";
  std::string test_source = "data/test_lmdb";
};

/// Networks for images of about 32x32, with their Data layers, loss, and accuracy in TEST. Pixels
/// enter as (v / 255 - 0.5) / 0.5; convolutions have no bias and start from He's normal (fan out).
///   resnet20   He et al., 2016, section 4.2: 3 stages of 3 blocks, 16, 32 and 64 channels; where a
///              stage begins, the shortcut is subsampled and filled up with zero channels
///   vgg9       64 M 128 M 256 256 M 512 512 M 512 512 (M: max pooling), global average pooling
///   mobilenet  Howard et al., 2017: 13 pairs of depthwise and pointwise convolutions; the first
///              convolution, which halves the image there, has stride 1
/// An unknown name is a caffe::Error.
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

#ifndef METAPERTURB_TOOLS_METAPERTURB_MODEL_BUILDER_HPP_
#define METAPERTURB_TOOLS_METAPERTURB_MODEL_BUILDER_HPP_

#include <string>

#include "caffe/proto/caffe.pb.h"

namespace metaperturb {

struct ModelOptions {
  int classes = 10;
  int crop = 32;
  int batch = 128;
  int test_batch = 100;
  std::string train_source = "data/train_lmdb";
  std::string test_source = "data/test_lmdb";
};

/// Networks for images of about 32x32, with their Data layers, loss, and accuracy in TEST. Pixels
/// enter as (v / 255 - 0.5) / 0.5; convolutions have no bias and start from He's normal (fan out).
///   resnet20   He et al., 2016, section 4.2: 3 stages of 3 blocks, 16, 32 and 64 channels;
///   shortcuts
///              are identities, subsampled and filled up with zero channels where a stage begins
///   vgg9       64 M 128 M 256 256 M 512 512 M 512 512 (M: max pooling), global average
///   mobilenet  Howard et al., 2017, with stride 1 in the first convolution and the first two
///   stages
/// An unknown name is a caffe::Error.
caffe::NetParameter BuildModel(const std::string& name, const ModelOptions& options);

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_METAPERTURB_MODEL_BUILDER_HPP_

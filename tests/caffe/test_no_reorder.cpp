// The models' activations keep one memory layout from the first convolution to the classifier.
#include <gtest/gtest.h>

#include "testing/model_util.hpp"
#include "util/channel_blocks.hpp"

namespace caffe {
namespace testing {
namespace {

/// Copies between layouts in two TRAIN passes, per layer that made any: " res2a forward 1".
string Reorders(const NetParameter& param) {
  Net<float> net(param);
  string found;
  uint64_t before = ReorderCount();
  const auto count = [&](int layer, const char* direction) {
    const uint64_t now = ReorderCount();
    if (now != before) {
      found += " " + net.layer_names()[layer] + direction + std::to_string(now - before);
    }
    before = now;
  };
  const int layers = static_cast<int>(net.layers().size());
  // The second pass meets diffs and running statistics in the layout that the first left.
  for (int pass = 0; pass < 2; ++pass) {
    for (int i = 0; i < layers; ++i) {
      net.ForwardFromTo(i, i);
      count(i, " forward ");
    }
    for (int i = 0; i < layers; ++i) {
      // Without blocks there would be no copies either.
      if (string(net.layers()[i]->type()) != "Convolution") continue;
      EXPECT_EQ(NativeChannelBlock(), net.top_vecs()[i][0]->data_block()) << net.layer_names()[i];
    }
    for (int i = layers - 1; i >= 0; --i) {
      net.BackwardFromTo(i, i);
      count(i, " backward ");
    }
  }
  return found;
}

// Copies depend on channel counts only, so small batches do.
string Reorders(const string& file) {
  return Reorders(ModelWithoutData(file, TRAIN, 2));
}

TEST(NoReorder, CopiesAreSeen) {
  NetParameter net = ModelWithoutData("resnet20/train_val.prototxt", TRAIN, 2);
  for (LayerParameter& layer : *net.mutable_layer()) {
    // A plain reader and writer in the middle.
    if (layer.name() != "res3b_relu") continue;
    layer.set_type("Reshape");
    layer.mutable_reshape_param()->mutable_shape()->add_dim(0);
    layer.mutable_reshape_param()->mutable_shape()->add_dim(-1);
    layer.mutable_reshape_param()->mutable_shape()->add_dim(16);
    layer.mutable_reshape_param()->mutable_shape()->add_dim(16);
    layer.set_top(0, "plain");
  }
  for (LayerParameter& layer : *net.mutable_layer()) {
    if (layer.name() == "res3c_conv1") layer.set_bottom(0, "plain");
  }
  const string found = Reorders(net);
  EXPECT_NE(string::npos, found.find("res3b_relu forward 1")) << found;
}

TEST(NoReorder, ResNet20) {
  EXPECT_EQ("", Reorders("resnet20/train_val.prototxt"));
  EXPECT_EQ("", Reorders("resnet20/train_val_mp.prototxt"));
  EXPECT_EQ("", Reorders("resnet20/meta_train_val.prototxt"));
}

TEST(NoReorder, Vgg9) {
  EXPECT_EQ("", Reorders("vgg9/train_val.prototxt"));
  EXPECT_EQ("", Reorders("vgg9/train_val_mp.prototxt"));
}

TEST(NoReorder, MobileNet) {
  EXPECT_EQ("", Reorders("mobilenet/train_val.prototxt"));
  EXPECT_EQ("", Reorders("mobilenet/train_val_mp.prototxt"));
}

}  // namespace
}  // namespace testing
}  // namespace caffe

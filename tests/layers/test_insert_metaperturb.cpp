#include "layers/insert_metaperturb.hpp"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "caffe/common.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "layers/metaperturb_param.hpp"
#include "util/error.hpp"

namespace metaperturb {
namespace {

using caffe::LayerParameter;
using caffe::NetParameter;
using std::string;

NetParameter Parse(const string& text) {
  NetParameter net;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &net));
  return net;
}

NetParameter Model(const string& name) {
  NetParameter net;
  caffe::ReadNetParamsFromTextFileOrDie(
      string(METAPERTURB_SOURCE_DIR) + "/models/" + name + "/train_val.prototxt", &net);
  return net;
}

const LayerParameter* Find(const NetParameter& net, const string& name) {
  for (const LayerParameter& layer : net.layer()) {
    if (layer.name() == name) return &layer;
  }
  ADD_FAILURE() << "no layer " << name;
  return &LayerParameter::default_instance();
}

// "bottom->top" of every layer.
string Wiring(const NetParameter& net) {
  string text;
  for (const LayerParameter& layer : net.layer()) {
    if (!text.empty()) text += " ";
    for (int i = 0; i < layer.bottom_size(); ++i) text += (i ? "+" : "") + layer.bottom(i);
    text += "->";
    for (int i = 0; i < layer.top_size(); ++i) text += (i ? "+" : "") + layer.top(i);
  }
  return text;
}

int Insert(const NetParameter& net, NetParameter* out) {
  return InsertMetaPerturb(net, InsertOptions(), out);
}

TEST(InsertMetaPerturbTest, OncePerResidualBlockOfResNet20) {
  NetParameter out;
  EXPECT_EQ(9, Insert(Model("resnet20"), &out));
  const LayerParameter* mp = Find(out, "res3a_mp");
  EXPECT_EQ("MetaPerturb", mp->type());
  EXPECT_EQ("res3a", mp->bottom(0));
  EXPECT_EQ("res3a_mp", mp->top(0));
  const LayerParameter* relu = Find(out, "res3a_relu");
  EXPECT_EQ("res3a_mp", relu->bottom(0));
  EXPECT_EQ("res3a_mp", relu->top(0));
  EXPECT_EQ("res3a_mp", Find(out, "res3b_conv1")->bottom(0));
  EXPECT_EQ("res3a_mp", Find(out, "res3b")->bottom(0));
}

TEST(InsertMetaPerturbTest, AfterEveryNormalisationWithoutAdditions) {
  NetParameter out;
  EXPECT_EQ(8, Insert(Model("vgg9"), &out));
  EXPECT_EQ(27, Insert(Model("mobilenet"), &out));  // 1 + 13 depthwise + 13 pointwise
}

TEST(InsertMetaPerturbTest, ChainInPlace) {
  const NetParameter net = Parse(R"(
    layer { name: "conv" type: "Convolution" bottom: "data" top: "x" }
    layer { name: "bn" type: "BatchNorm" bottom: "x" top: "x" }
    layer { name: "scale" type: "Scale" bottom: "x" top: "x" }
    layer { name: "relu" type: "ReLU" bottom: "x" top: "x" }
    layer { name: "conv2" type: "Convolution" bottom: "x" top: "y" }
    layer { name: "fc" type: "InnerProduct" bottom: "y" bottom: "x" top: "x" }
    layer { name: "end" type: "Silence" bottom: "x" })");
  NetParameter out;
  EXPECT_EQ(1, Insert(net, &out));
  EXPECT_EQ(
      "data->x x->x x->x x->scale_mp scale_mp->scale_mp scale_mp->y y+scale_mp->scale_mp "
      "scale_mp->",
      Wiring(out));
}

TEST(InsertMetaPerturbTest, AfterTheConvolutionWithoutNormalisation) {
  const NetParameter net = Parse(R"(
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" }
    layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
    layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" })");
  NetParameter out;
  EXPECT_EQ(1, Insert(net, &out));
  EXPECT_EQ("data->conv conv->conv_mp conv_mp->conv_mp conv_mp->fc", Wiring(out));
}

// A network that ends in a convolution and global pooling: predictions are not perturbed.
TEST(InsertMetaPerturbTest, NotBehindTheConvolutionThatPredicts) {
  const NetParameter net = Parse(R"(
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" }
    layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
    layer { name: "score" type: "Convolution" bottom: "conv" top: "score" }
    layer { name: "pool" type: "Pooling" bottom: "score" top: "pool" }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "pool" bottom: "label" top: "loss" })");
  NetParameter out;
  EXPECT_EQ(1, Insert(net, &out));
  EXPECT_EQ("data->conv conv->conv_mp conv_mp->conv_mp conv_mp->score score->pool pool+label->loss",
            Wiring(out));
}

TEST(InsertMetaPerturbTest, NewValueUnderAnOldName) {
  const NetParameter net = Parse(R"(
    layer { name: "conv" type: "Convolution" bottom: "data" top: "x" }
    layer { name: "pool" type: "Pooling" bottom: "x" top: "y" }
    layer { name: "again" type: "Pooling" bottom: "y" top: "x" }
    layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc" })");
  NetParameter out;
  EXPECT_EQ(1, Insert(net, &out));
  EXPECT_EQ("data->x x->conv_mp conv_mp->y y->x x->fc", Wiring(out));
}

TEST(InsertMetaPerturbTest, OneNormalisationPerPhase) {
  const NetParameter net = Parse(R"(
    layer { name: "conv" type: "Convolution" bottom: "data" top: "x" }
    layer { name: "bn" type: "BatchNorm" bottom: "x" top: "x" include { phase: TRAIN } }
    layer { name: "bn" type: "BatchNorm" bottom: "x" top: "x" include { phase: TEST } }
    layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc" })");
  NetParameter out;
  EXPECT_EQ(1, Insert(net, &out));
  EXPECT_EQ("data->x x->x x->x x->bn_mp bn_mp->fc", Wiring(out));
  EXPECT_EQ(0, Find(out, "bn_mp")->include_size());
}

// Not in place: each makes the blob anew.
TEST(InsertMetaPerturbTest, OneMakerPerPhase) {
  const NetParameter normalised = Parse(R"(
    layer { name: "conv" type: "Convolution" bottom: "data" top: "x" }
    layer { name: "train" type: "BatchNorm" bottom: "x" top: "y" include { phase: TRAIN } }
    layer { name: "test" type: "BatchNorm" bottom: "x" top: "y" include { phase: TEST } }
    layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }
    layer { name: "fc" type: "InnerProduct" bottom: "y" top: "fc" })");
  NetParameter out;
  EXPECT_EQ(1, Insert(normalised, &out));
  EXPECT_EQ("data->x x->y x->y y->test_mp test_mp->test_mp test_mp->fc", Wiring(out));
  EXPECT_EQ(0, Find(out, "test_mp")->include_size());

  const NetParameter convolved = Parse(R"(
    layer { name: "train" type: "Convolution" bottom: "data" top: "y" include { phase: TRAIN } }
    layer { name: "test" type: "Convolution" bottom: "data" top: "y" include { phase: TEST } }
    layer { name: "fc" type: "InnerProduct" bottom: "y" top: "fc" })");
  NetParameter other;
  EXPECT_EQ(1, Insert(convolved, &other));
  EXPECT_EQ("data->y data->y y->test_mp test_mp->fc", Wiring(other));
  EXPECT_EQ(0, Find(other, "test_mp")->include_size());
}

TEST(InsertMetaPerturbTest, SumOfPredictionsIsNoBlock) {
  const NetParameter net = Parse(R"(
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" }
    layer { name: "a" type: "InnerProduct" bottom: "conv" top: "a" }
    layer { name: "b" type: "InnerProduct" bottom: "conv" top: "b" }
    layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" })");
  NetParameter out;
  EXPECT_EQ(1, Insert(net, &out));
  EXPECT_EQ("data->conv conv->conv_mp conv_mp->a conv_mp->b a+b->sum", Wiring(out));
}

TEST(InsertMetaPerturbTest, RulesOfThePhaseAndFreeNames) {
  const NetParameter net = Parse(R"(
    layer { name: "conv" type: "Convolution" bottom: "data" top: "x" include { phase: TRAIN } }
    layer { name: "conv_mp" type: "ReLU" bottom: "x" top: "conv_mp" })");
  NetParameter out;
  EXPECT_EQ(1, Insert(net, &out));
  EXPECT_EQ("data->x x->conv_mp_ conv_mp_->conv_mp", Wiring(out));
  ASSERT_EQ(1, Find(out, "conv_mp_")->include_size());
  EXPECT_EQ(caffe::TRAIN, Find(out, "conv_mp_")->include(0).phase());
}

TEST(InsertMetaPerturbTest, Options) {
  InsertOptions options;
  options.shared = true;
  options.param.set_phi("phi.caffemodel");
  options.param.set_anneal_iter(7);
  NetParameter out;
  InsertMetaPerturb(Model("vgg9"), options, &out);
  int count = 0;
  for (const LayerParameter& layer : out.layer()) {
    if (layer.type() != "MetaPerturb") continue;
    ++count;
    ASSERT_EQ(1, layer.param_size());
    EXPECT_EQ("phi", layer.param(0).name());
    EXPECT_EQ("phi.caffemodel", GetParam(layer).phi());
    EXPECT_EQ(7u, GetParam(layer).anneal_iter());
  }
  EXPECT_EQ(8, count);
}

void ExpectError(const NetParameter& net, const string& part) {
  NetParameter out;
  try {
    Insert(net, &out);
    FAIL() << "no error";
  } catch (const caffe::Error& e) {
    EXPECT_NE(string::npos, string(e.what()).find(part)) << e.what();
  }
}

TEST(InsertMetaPerturbTest, Errors) {
  ExpectError(Parse(R"(layer { name: "fc" type: "InnerProduct" bottom: "a" top: "b" })"),
              "no convolution");
  NetParameter out;
  Insert(Model("resnet20"), &out);
  ExpectError(out, "layer 'res2a_mp' is a MetaPerturb layer already");
}

TEST(InsertMetaPerturbTest, ParametersForAnotherCaffe) {
  InsertOptions options;
  options.as_param_str = true;
  options.param.set_phi("my phi.caffemodel");
  options.param.set_anneal_iter(400);
  NetParameter out;
  InsertMetaPerturb(Model("resnet20"), options, &out);
  const LayerParameter* mp = Find(out, "res3a_mp");
#ifdef METAPERTURB_HAS_FIELD
  EXPECT_FALSE(mp->has_metaperturb_param());
#endif
  EXPECT_EQ("anneal_iter: 400 phi: \"my phi.caffemodel\"", mp->python_param().param_str());
}

}  // namespace
}  // namespace metaperturb

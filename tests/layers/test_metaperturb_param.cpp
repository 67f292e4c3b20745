#include "layers/metaperturb_param.hpp"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "layers/metaperturb_layer.hpp"
#include "testing/blob_util.hpp"
#include "testing/layer_result.hpp"

namespace metaperturb {
namespace {

using caffe::LayerParameter;
using caffe::MetaPerturbParameter;
using std::string;

LayerParameter Layer(const string& fields) {
  LayerParameter layer;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "name: 'mp' type: 'MetaPerturb' " + fields, &layer));
  return layer;
}

string ErrorOf(const LayerParameter& layer) {
  try {
    GetParam(layer);
  } catch (const caffe::Error& e) {
    return e.what();
  }
  return "";
}

TEST(MetaPerturbParam, FromEitherField) {
  EXPECT_EQ(100, GetParam(Layer("")).clip_value());
#ifdef METAPERTURB_HAS_FIELD
  EXPECT_EQ(7, GetParam(Layer("metaperturb_param { clip_value: 7 }")).clip_value());
#endif
  const MetaPerturbParameter param = GetParam(
      Layer("python_param { param_str: \"phi: 'a b.caffemodel' anneal_iter: 40 noise: MEAN\" }"));
  EXPECT_EQ("a b.caffemodel", param.phi());
  EXPECT_EQ(40u, param.anneal_iter());
  EXPECT_EQ(caffe::MetaPerturbParameter_Noise_MEAN, param.noise());
}

TEST(MetaPerturbParam, WrittenAndReadAgain) {
  MetaPerturbParameter param;
  param.set_phi("it's \"quoted\".caffemodel");
  param.set_noise(caffe::MetaPerturbParameter_Noise_MEAN);
  param.set_moving_average_fraction(0.9f);
  for (const bool as_param_str : {false, true}) {
    LayerParameter layer = Layer("");
#ifndef METAPERTURB_HAS_FIELD
    if (!as_param_str) {
      EXPECT_THROW(SetParam(param, false, &layer), caffe::Error);
      continue;
    }
#endif
    SetParam(param, as_param_str, &layer);
    EXPECT_EQ(as_param_str, layer.has_python_param());
    // Through a file, where param_str is quoted once more.
    string text;
    ASSERT_TRUE(google::protobuf::TextFormat::PrintToString(layer, &text));
    LayerParameter read;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &read));
    EXPECT_EQ(param.SerializeAsString(), GetParam(read).SerializeAsString());
  }
  LayerParameter plain = Layer("");
  SetParam(MetaPerturbParameter(), true, &plain);
  EXPECT_FALSE(plain.has_python_param());
}

TEST(MetaPerturbParam, Errors) {
  EXPECT_EQ(
      "python_param.param_str \"anneal_itr: 4\" is no MetaPerturbParameter: character 11: Message "
      "type \"caffe.MetaPerturbParameter\" has no field named \"anneal_itr\".",
      ErrorOf(Layer("python_param { param_str: 'anneal_itr: 4' }")));
  EXPECT_NE("", ErrorOf(Layer("python_param { param_str: 'clip_value: ten' }")));
#ifdef METAPERTURB_HAS_FIELD
  EXPECT_EQ("metaperturb_param and python_param.param_str are both given",
            ErrorOf(Layer("metaperturb_param { clip_value: 7 } "
                          "python_param { param_str: 'clip_value: 8' }")));
#endif
}

TEST(MetaPerturbParam, TheLayerTakesEither) {
  caffe::Blob<float> x(2, 3, 4, 4);
  caffe::testing::FillGaussian<float>(&x, 1, 2, 1);
  for (const char* fields : {
#ifdef METAPERTURB_HAS_FIELD
           "metaperturb_param { clip_value: 0.25 noise: MEAN }",
#endif
           "python_param { param_str: 'clip_value: 0.25 noise: MEAN' }"}) {
    caffe::testing::LayerRun<float> run(Layer(fields), {&x});
    run.Forward();
    float largest = -1;
    for (int i = 0; i < x.count(); ++i) largest = std::max(largest, run.top[0]->cpu_data()[i]);
    EXPECT_EQ(0.25f, largest);
  }
}

}  // namespace
}  // namespace metaperturb

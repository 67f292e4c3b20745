#include "layers/layer_param.hpp"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "caffe/proto/regularizers.pb.h"
#include "testing/blob_util.hpp"

namespace metaperturb {
namespace {

using caffe::LayerParameter;

LayerParameter Parse(const std::string& text) {
  LayerParameter layer;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &layer));
  return layer;
}

// Through its own field where this Caffe has one, and through param_str; the field has `number`.
template <class Param>
void ExpectRoundTrip(const std::string& text, int number) {
  Param param;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &param));
  ASSERT_GT(param.ByteSizeLong(), 0u);
  LayerParameter as_text;
  WriteLayerParam(param, true, &as_text);
  EXPECT_EQ(text, as_text.python_param().param_str());
  EXPECT_EQ(param.SerializeAsString(), LayerParam<Param>(as_text).SerializeAsString());
  const auto* field = LayerParameter::descriptor()->FindFieldByNumber(number);
  LayerParameter as_field;
  if (!field) {
    EXPECT_ERROR(WriteLayerParam(param, false, &as_field),
                 "LayerParameter has no " + Param::descriptor()->name());
    return;
  }
  WriteLayerParam(param, false, &as_field);
  EXPECT_FALSE(as_field.has_python_param());
  EXPECT_TRUE(as_field.GetReflection()->HasField(as_field, field));
  EXPECT_EQ(param.SerializeAsString(), LayerParam<Param>(as_field).SerializeAsString());
  as_field.mutable_python_param()->set_param_str(text);
  EXPECT_ERROR(LayerParam<Param>(as_field), field->name() + " and python_param.param_str are both");
}

TEST(LayerParam, EveryRegularizer) {
  ExpectRoundTrip<caffe::DropBlockParameter>("drop_prob: 0.25 block_size: 3", 150);
  ExpectRoundTrip<caffe::InformationDropoutParameter>("max_alpha: 0.5", 151);
  ExpectRoundTrip<caffe::MixupPlanParameter>("alpha: 2 positions: 3 per_image: true", 152);
  ExpectRoundTrip<caffe::MixupParameter>("position: 1", 153);
  ExpectRoundTrip<caffe::SoftTargetLossParameter>("label_smoothing: 0.5", 154);
  ExpectRoundTrip<caffe::CutoutParameter>("length: 8", 155);
  ExpectRoundTrip<caffe::StochasticDepthParameter>("survival_prob: 0.75", 156);
}

TEST(LayerParam, Mistakes) {
  EXPECT_EQ(16u, LayerParam<caffe::CutoutParameter>(Parse("")).length());
  EXPECT_ERROR(LayerParam<caffe::CutoutParameter>(Parse("python_param { param_str: 'size: 4' }")),
               "python_param.param_str \"size: 4\" is no CutoutParameter: character 5");
  EXPECT_ERROR(
      LayerParam<caffe::CutoutParameter>(Parse("python_param { param_str: 'length: -4' }")),
      "is no CutoutParameter");
}

}  // namespace
}  // namespace metaperturb

#include "layers/insert_regularizer.hpp"

#include <gtest/gtest.h>

#include <string_view>

#include "layers/layer_param.hpp"
#include "testing/blob_util.hpp"
#include "testing/regularizer_util.hpp"

namespace metaperturb {
namespace {

using caffe::LayerParameter;
using caffe::NetParameter;
using std::string;

const char kSmall[] = R"(
  layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN } }
  layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST } }
  layer { name: "conv" type: "Convolution" bottom: "data" top: "x"
          convolution_param { num_output: 6 } }
  layer { name: "relu" type: "ReLU" bottom: "x" top: "x" }
  layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc" }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" })";

const LayerParameter& Find(const NetParameter& net, std::string_view name) {
  for (const LayerParameter& layer : net.layer()) {
    if (layer.name() == name) return layer;
  }
  ADD_FAILURE() << "no layer " << name;
  return LayerParameter::default_instance();
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

NetParameter With(const string& type, const NetParameter& net, int places) {
  NetParameter out;
  EXPECT_EQ(places, InsertRegularizer(net, Options(type), &out)) << type;
  return out;
}

TEST(InsertRegularizerTest, DropBlockWhereMetaPerturbGoes) {
  RegularizerOptions options = Options("dropblock");
  options.dropblock.set_block_size(5);
  NetParameter out;
  EXPECT_EQ(9, InsertRegularizer(Model("resnet20"), options, &out));
  const LayerParameter& layer = Find(out, "res3a_db");
  EXPECT_EQ("DropBlock", layer.type());
  EXPECT_EQ("res3a", layer.bottom(0));
  EXPECT_EQ("res3a_db", Find(out, "res3a_relu").bottom(0));
  EXPECT_EQ("res3a_db", Find(out, "res3a_relu").top(0));
  EXPECT_EQ("res3a_db", Find(out, "res3b").bottom(0));
  EXPECT_EQ(5u, LayerParam<caffe::DropBlockParameter>(layer).block_size());
  With("dropblock", Model("vgg9"), 8);
}

TEST(InsertRegularizerTest, InformationDropoutBehindTheReLU) {
  const NetParameter out = With("information_dropout", Parse(kSmall), 1);
  EXPECT_EQ(
      "->data+label ->data+label data->x x->x x->relu_alpha x+relu_alpha->relu_id+relu_id_kl "
      "relu_id->fc fc+label->loss",
      Wiring(out));
  EXPECT_EQ(6u, Find(out, "relu_alpha").convolution_param().num_output());
  EXPECT_EQ(1u, Find(out, "relu_alpha").convolution_param().kernel_size(0));
  ASSERT_EQ(2, Find(out, "relu_id").loss_weight_size());
  EXPECT_EQ(0, Find(out, "relu_id").loss_weight(0));
  EXPECT_FLOAT_EQ(6e-5f, Find(out, "relu_id").loss_weight(1));
  const NetParameter resnet = With("information_dropout", Model("resnet20"), 9);
  EXPECT_EQ("res3a", Find(resnet, "res3a_relu_id").bottom(0));
  EXPECT_EQ(32u, Find(resnet, "res3a_relu_alpha").convolution_param().num_output());
  EXPECT_EQ("res3a_relu_id", Find(resnet, "res3b_conv1").bottom(0));
  // The network has batch normalisation, the small one above has not.
  EXPECT_TRUE(
      LayerParam<caffe::InformationDropoutParameter>(Find(resnet, "res3a_relu_id")).test_mean());
  EXPECT_FALSE(LayerParam<caffe::InformationDropoutParameter>(Find(out, "relu_id")).test_mean());
}

TEST(InsertRegularizerTest, NothingBehindTheLogitsOfInformationDropout) {
  const NetParameter first = With("information_dropout", Parse(kSmall), 1);
  EXPECT_EQ(
      "->data+label ->data+label data->x x->conv_db conv_db->conv_db conv_db->relu_alpha "
      "conv_db+relu_alpha->relu_id+relu_id_kl relu_id->fc fc+label->loss",
      Wiring(With("dropblock", first, 1)));
  With("manifold_mixup", first, 2);
}

TEST(InsertRegularizerTest, InformationDropoutBehindMaximumPooling) {
  const NetParameter conv4 = With("information_dropout", Model("conv4"), 4);
  EXPECT_EQ("pool1", Find(conv4, "pool1_alpha").bottom(0));
  EXPECT_EQ("pool1", Find(conv4, "pool1_id").bottom(0));
  EXPECT_EQ("pool1_id", Find(conv4, "conv2").bottom(0));
  // Not behind an average, and not where someone else reads the ReLU's top.
  NetParameter average = Model("conv4");
  for (LayerParameter& layer : *average.mutable_layer()) {
    if (layer.name() == "pool1") {
      layer.mutable_pooling_param()->set_pool(caffe::PoolingParameter_PoolMethod_AVE);
    }
  }
  LayerParameter* reader = average.add_layer();
  reader->set_name("reader");
  reader->set_type("Power");
  reader->add_bottom("conv2_bn");
  reader->add_top("read");
  const NetParameter behind_relu = With("information_dropout", average, 4);
  EXPECT_EQ("conv1_bn", Find(behind_relu, "conv1_bn_relu_id").bottom(0));
  EXPECT_EQ("conv2_bn", Find(behind_relu, "conv2_bn_relu_id").bottom(0));
  EXPECT_EQ("pool3", Find(behind_relu, "pool3_id").bottom(0));
}

TEST(InsertRegularizerTest, CutoutBehindTheData) {
  NetParameter out = With("cutout", Parse(kSmall), 1);
  EXPECT_EQ("->data+label ->data+label data->data_cutout data_cutout->x x->x x->fc fc+label->loss",
            Wiring(out));
  EXPECT_EQ(0, Find(out, "data_cutout").include_size());
  EXPECT_EQ(16u, LayerParam<caffe::CutoutParameter>(Find(out, "data_cutout")).length());
  // Without data in TEST the layer is in TRAIN, too.
  NetParameter train_only = Parse(kSmall);
  train_only.mutable_layer()->DeleteSubrange(1, 1);
  out = With("cutout", train_only, 1);
  ASSERT_EQ(1, Find(out, "data_cutout").include_size());
  EXPECT_EQ(caffe::TRAIN, Find(out, "data_cutout").include(0).phase());
}

TEST(InsertRegularizerTest, MixupOfDataAndTargets) {
  const NetParameter out = With("mixup", Parse(kSmall), 1);
  EXPECT_EQ(
      "->data+label ->data+label label->mixup_plan data+mixup_plan->data_mixup data_mixup->x x->x "
      "x->fc fc+label+mixup_plan->loss",
      Wiring(out));
  EXPECT_EQ("SoftTargetLoss", Find(out, "loss").type());
  const auto plan = LayerParam<caffe::MixupPlanParameter>(Find(out, "mixup_plan"));
  EXPECT_EQ(1, plan.alpha());
  EXPECT_EQ(1u, plan.positions());
}

TEST(InsertRegularizerTest, ManifoldMixupAtTheFirstPlaces) {
  const NetParameter out = With("manifold_mixup", Model("resnet20"), 3);
  const auto plan = LayerParam<caffe::MixupPlanParameter>(Find(out, "mixup_plan"));
  EXPECT_EQ(2, plan.alpha());
  EXPECT_EQ(3u, plan.positions());
  uint32_t position = 0;
  for (const char* name : {"data_mixup", "res2a_mixup", "res2b_mixup"}) {
    const LayerParameter& mix = Find(out, name);
    EXPECT_EQ("Mixup", mix.type());
    EXPECT_EQ("mixup_plan", mix.bottom(1));
    EXPECT_EQ(position++, LayerParam<caffe::MixupParameter>(mix).position()) << name;
  }
  EXPECT_EQ("res2b_mixup", Find(out, "res2b_relu").bottom(0));
  // No more places than there are.
  const NetParameter small = With("manifold_mixup", Parse(kSmall), 2);
  EXPECT_EQ(2u, LayerParam<caffe::MixupPlanParameter>(Find(small, "mixup_plan")).positions());
}

TEST(InsertRegularizerTest, LabelSmoothingOfTheTrainingLoss) {
  NetParameter net = Parse(kSmall);
  *net.add_layer() = net.layer(5);
  net.mutable_layer(5)->add_include()->set_phase(caffe::TRAIN);
  net.mutable_layer(5)->mutable_loss_param()->set_ignore_label(3);
  net.mutable_layer(6)->add_include()->set_phase(caffe::TEST);
  const NetParameter out = With("label_smoothing", net, 1);
  EXPECT_EQ("SoftTargetLoss", out.layer(5).type());
  EXPECT_EQ(3, out.layer(5).loss_param().ignore_label());
  EXPECT_FLOAT_EQ(0.1f, LayerParam<caffe::SoftTargetLossParameter>(out.layer(5)).label_smoothing());
  EXPECT_EQ("SoftmaxWithLoss", out.layer(6).type());
}

TEST(InsertRegularizerTest, LabelSmoothingWithMixupInEitherOrder) {
  const NetParameter a = With("label_smoothing", With("mixup", Parse(kSmall), 1), 1);
  const NetParameter b = With("mixup", With("label_smoothing", Parse(kSmall), 1), 1);
  EXPECT_EQ(a.SerializeAsString(), b.SerializeAsString());
  EXPECT_EQ(3, Find(a, "loss").bottom_size());
  EXPECT_FLOAT_EQ(0.1f,
                  LayerParam<caffe::SoftTargetLossParameter>(Find(a, "loss")).label_smoothing());
}

TEST(InsertRegularizerTest, StochasticDepthOnTheBranches) {
  const NetParameter out = With("stochastic_depth", Model("resnet20"), 9);
  const char* blocks[] = {"res2a", "res2b", "res2c", "res3a", "res3b",
                          "res3c", "res4a", "res4b", "res4c"};
  const NetParameter plain = Model("resnet20");
  for (int i = 0; i < 9; ++i) {
    const string block = blocks[i];
    const LayerParameter& drop = Find(out, block + "_sd");
    EXPECT_EQ(block + "_conv2_bn", drop.bottom(0));
    EXPECT_FLOAT_EQ(1 - (i + 1) / 9.0 * 0.5,
                    LayerParam<caffe::StochasticDepthParameter>(drop).survival_prob());
    // The other input stays.
    const LayerParameter &before = Find(plain, block), &after = Find(out, block);
    int replaced = 0;
    for (int b = 0; b < 2; ++b) {
      if (before.bottom(b) == after.bottom(b)) continue;
      EXPECT_EQ(block + "_sd", after.bottom(b));
      EXPECT_EQ(drop.bottom(0), before.bottom(b));
      ++replaced;
    }
    EXPECT_EQ(1, replaced);
  }
}

TEST(InsertRegularizerTest, StochasticDepthOnABranchOfFullyConnectedLayers) {
  const NetParameter out = With("stochastic_depth", Parse(R"(
    layer { name: "data" type: "Data" top: "data" top: "label" }
    layer { name: "h" type: "InnerProduct" bottom: "data" top: "h" }
    layer { name: "branch" type: "InnerProduct" bottom: "h" top: "branch" }
    layer { name: "sum" type: "Eltwise" bottom: "h" bottom: "branch" top: "sum" }
    layer { name: "fc" type: "InnerProduct" bottom: "sum" top: "fc" })"),
                                1);
  EXPECT_EQ("branch", Find(out, "sum_sd").bottom(0));
  EXPECT_EQ("h", Find(out, "sum").bottom(0));
  EXPECT_EQ("sum_sd", Find(out, "sum").bottom(1));
}

TEST(InsertRegularizerTest, ParametersForAnotherCaffe) {
  RegularizerOptions options = Options("dropblock");
  options.as_param_str = true;
  options.dropblock.set_block_size(3);
  NetParameter out;
  InsertRegularizer(Model("vgg9"), options, &out);
  int found = 0;
  for (const LayerParameter& layer : out.layer()) {
    if (layer.type() != "DropBlock") continue;
    EXPECT_EQ("block_size: 3", layer.python_param().param_str());
    ++found;
  }
  EXPECT_EQ(8, found);
}

TEST(InsertRegularizerTest, Errors) {
  NetParameter out;
  const auto insert = [&out](const string& type, const NetParameter& net) {
    InsertRegularizer(net, Options(type), &out);
  };
  const NetParameter small = Parse(kSmall);
  NetParameter no_loss = small, no_data = small, no_conv = small, no_labels = small;
  no_loss.mutable_layer()->DeleteSubrange(5, 1);
  no_data.mutable_layer()->DeleteSubrange(0, 1);
  no_conv.mutable_layer()->DeleteSubrange(2, 2);
  no_labels.mutable_layer(0)->mutable_top()->RemoveLast();
  EXPECT_ERROR(insert("dropout", small), "unknown regularizer 'dropout'");
  EXPECT_ERROR(insert("dropblock", no_conv), "no convolution to put a DropBlock layer behind");
  EXPECT_ERROR(insert("information_dropout", no_conv), "no convolution with a ReLU");
  EXPECT_ERROR(insert("cutout", no_data), "no data layer for TRAIN");
  EXPECT_ERROR(insert("mixup", no_labels), "layer 'data' (Data) makes no labels");
  EXPECT_ERROR(insert("mixup", no_loss), "no SoftmaxWithLoss for TRAIN");
  EXPECT_ERROR(insert("label_smoothing", no_loss), "no SoftmaxWithLoss for TRAIN");
  EXPECT_ERROR(insert("stochastic_depth", small), "no residual block");
  NetParameter no_labels_in_test = small;
  no_labels_in_test.mutable_layer(1)->set_name("test");
  no_labels_in_test.mutable_layer(1)->mutable_top()->RemoveLast();
  EXPECT_ERROR(insert("mixup", no_labels_in_test),
               "layer 'test' (Data) makes the images 'data' but not the labels 'label'");
  EXPECT_ERROR(insert("stochastic_depth", Parse(R"(
    layer { name: "data" type: "Data" top: "data" top: "label" }
    layer { name: "a" type: "Convolution" bottom: "data" top: "a" }
    layer { name: "b" type: "Convolution" bottom: "data" top: "b" }
    layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }
    layer { name: "fc" type: "InnerProduct" bottom: "sum" top: "fc" })")),
               "layer 'sum' (Eltwise): which of its inputs is the residual branch cannot be told, "
               "2 of them have 1 layers with weights before them");
  EXPECT_ERROR(insert("dropblock", With("dropblock", small, 1)),
               "layer 'conv_db' is a DropBlock layer already");
  EXPECT_ERROR(insert("mixup", With("mixup", small, 1)), "is a Mixup layer already");
  EXPECT_ERROR(insert("label_smoothing", With("label_smoothing", small, 1)),
               "layer 'loss' smooths its labels already");
}

}  // namespace
}  // namespace metaperturb

#include "caffe/util/upgrade_proto.hpp"

#include <filesystem>
#include <fstream>

#include "caffe/util/io.hpp"
#include "testing/blob_util.hpp"

namespace caffe {
namespace testing {

void ExpectUpgrade(const string& before, const string& after) {
  NetParameter net = NetFromText(before);
  EXPECT_TRUE(NetNeedsUpgrade(net));
  UpgradeNetAsNeeded("net.prototxt", &net);
  EXPECT_EQ(net.DebugString(), NetFromText(after).DebugString());
  EXPECT_FALSE(NetNeedsUpgrade(net) && !NetNeedsBatchNormUpgrade(net));
}

TEST(UpgradeProto, V1Layers) {
  ExpectUpgrade(R"(
      name: "n" force_backward: true
      layers { name: "c" type: CONVOLUTION bottom: "x" top: "y" blobs_lr: 1 blobs_lr: 2
               weight_decay: 1 weight_decay: 0 param: "w" param: "b"
               blob_share_mode: PERMISSIVE blob_share_mode: STRICT
               include { phase: TRAIN } exclude { stage: "s" } loss_weight: 0.5
               blobs { data: 3 } convolution_param { num_output: 4 kernel_size: 3 } }
      layers { name: "l" type: SOFTMAX_LOSS bottom: "y" bottom: "t" top: "l"
               loss_param { ignore_label: 3 } })",
                R"(
      name: "n" force_backward: true
      layer { name: "c" type: "Convolution" bottom: "x" top: "y"
              param { name: "w" lr_mult: 1 decay_mult: 1 share_mode: PERMISSIVE }
              param { name: "b" lr_mult: 2 decay_mult: 0 share_mode: STRICT }
              include { phase: TRAIN } exclude { stage: "s" } loss_weight: 0.5
              blobs { data: 3 } convolution_param { num_output: 4 kernel_size: 3 } }
      layer { name: "l" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "l"
              loss_param { ignore_label: 3 } })");
}

TEST(UpgradeProto, EveryV1Parameter) {
  // Each *_param message of a V1 layer arrives in a message of the same name.
  V1LayerParameter old;
  const auto* reflection = old.GetReflection();
  int count = 0;
  for (int i = 0; i < old.GetDescriptor()->field_count(); ++i) {
    const auto* field = old.GetDescriptor()->field(i);
    if (field->name().find("_param") == string::npos) continue;
    reflection->MutableMessage(&old, field);
    ++count;
  }
  LayerParameter layer;
  UpgradeV1LayerParameter(old, &layer);
  vector<const google::protobuf::FieldDescriptor*> fields;
  layer.GetReflection()->ListFields(layer, &fields);
  EXPECT_EQ(static_cast<int>(fields.size()), count);
  EXPECT_GT(count, 20);
}

TEST(UpgradeProto, V1Types) {
  const vector<pair<V1LayerParameter_LayerType, const char*>> types = {
      {V1LayerParameter::NONE, ""},
      {V1LayerParameter::ABSVAL, "AbsVal"},
      {V1LayerParameter::ACCURACY, "Accuracy"},
      {V1LayerParameter::ARGMAX, "ArgMax"},
      {V1LayerParameter::BNLL, "BNLL"},
      {V1LayerParameter::CONCAT, "Concat"},
      {V1LayerParameter::CONTRASTIVE_LOSS, "ContrastiveLoss"},
      {V1LayerParameter::CONVOLUTION, "Convolution"},
      {V1LayerParameter::DATA, "Data"},
      {V1LayerParameter::DECONVOLUTION, "Deconvolution"},
      {V1LayerParameter::DROPOUT, "Dropout"},
      {V1LayerParameter::DUMMY_DATA, "DummyData"},
      {V1LayerParameter::EUCLIDEAN_LOSS, "EuclideanLoss"},
      {V1LayerParameter::ELTWISE, "Eltwise"},
      {V1LayerParameter::EXP, "Exp"},
      {V1LayerParameter::FLATTEN, "Flatten"},
      {V1LayerParameter::HDF5_DATA, "HDF5Data"},
      {V1LayerParameter::HDF5_OUTPUT, "HDF5Output"},
      {V1LayerParameter::HINGE_LOSS, "HingeLoss"},
      {V1LayerParameter::IM2COL, "Im2col"},
      {V1LayerParameter::IMAGE_DATA, "ImageData"},
      {V1LayerParameter::INFOGAIN_LOSS, "InfogainLoss"},
      {V1LayerParameter::INNER_PRODUCT, "InnerProduct"},
      {V1LayerParameter::LRN, "LRN"},
      {V1LayerParameter::MEMORY_DATA, "MemoryData"},
      {V1LayerParameter::MULTINOMIAL_LOGISTIC_LOSS, "MultinomialLogisticLoss"},
      {V1LayerParameter::MVN, "MVN"},
      {V1LayerParameter::POOLING, "Pooling"},
      {V1LayerParameter::POWER, "Power"},
      {V1LayerParameter::RELU, "ReLU"},
      {V1LayerParameter::SIGMOID, "Sigmoid"},
      {V1LayerParameter::SIGMOID_CROSS_ENTROPY_LOSS, "SigmoidCrossEntropyLoss"},
      {V1LayerParameter::SILENCE, "Silence"},
      {V1LayerParameter::SOFTMAX, "Softmax"},
      {V1LayerParameter::SOFTMAX_LOSS, "SoftmaxWithLoss"},
      {V1LayerParameter::SPLIT, "Split"},
      {V1LayerParameter::SLICE, "Slice"},
      {V1LayerParameter::TANH, "TanH"},
      {V1LayerParameter::WINDOW_DATA, "WindowData"},
      {V1LayerParameter::THRESHOLD, "Threshold"}};
  EXPECT_EQ(static_cast<int>(types.size()),
            V1LayerParameter::LayerType_descriptor()->value_count());
  for (const auto& entry : types) EXPECT_STREQ(UpgradeV1LayerType(entry.first), entry.second);
}

TEST(UpgradeProto, DataTransformation) {
  ExpectUpgrade(R"(
      layers { name: "d" type: DATA top: "x" transform_param { mean_value: 5 }
               data_param { source: "s" batch_size: 4 scale: 0.5 mean_file: "m" crop_size: 3 mirror: true } }
      layers { name: "i" type: IMAGE_DATA top: "y" image_data_param { source: "s" mirror: false } })",
                R"(
      layer { name: "d" type: "Data" top: "x" data_param { source: "s" batch_size: 4 }
              transform_param { mean_value: 5 scale: 0.5 mean_file: "m" crop_size: 3 mirror: true } }
      layer { name: "i" type: "ImageData" top: "y" image_data_param { source: "s" }
              transform_param { mirror: false } })");
}

TEST(UpgradeProto, InputFields) {
  const string rest = " layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'y' }";
  ExpectUpgrade("input: 'x' input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4" + rest,
                "layer { name: 'input' type: 'Input' top: 'x' input_param {"
                "  shape { dim: 1 dim: 2 dim: 3 dim: 4 } } }" +
                    rest);
  ExpectUpgrade("input: 'x' input: 'z' input_shape { dim: 5 } input_shape { dim: 6 dim: 7 }" + rest,
                "layer { name: 'input' type: 'Input' top: 'x' top: 'z' input_param {"
                "  shape { dim: 5 } shape { dim: 6 dim: 7 } } }" +
                    rest);
  ExpectUpgrade("input: 'x'" + rest, rest);
  NetParameter net = NetFromText("input: 'x' input_dim: 1 input_dim: 2");
  EXPECT_ERROR(UpgradeNetAsNeeded("a.prototxt", &net), "a.prototxt: 1 'input' fields need");
}

TEST(UpgradeProto, BatchNormParams) {
  ExpectUpgrade("layer { type: 'BatchNorm' param { lr_mult: 1 name: 'n' } param { } param { } }",
                "layer { type: 'BatchNorm' param { lr_mult: 0 decay_mult: 0 name: 'n' }"
                " param { lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 decay_mult: 0 } }");
}

TEST(UpgradeProto, Refused) {
  NetParameter oldest = NetFromText("layers { layer { name: 'c' type: 'conv' } }");
  EXPECT_ERROR(UpgradeNetAsNeeded("old.prototxt", &oldest), "old.prototxt: layers in the form");
  NetParameter mixed = NetFromText("layers { type: RELU } layer { type: 'ReLU' }");
  EXPECT_ERROR(UpgradeNetAsNeeded("mixed.prototxt", &mixed),
               "mixed.prototxt: has both 'layer' and 'layers' fields");
  SolverParameter solver;
  solver.set_solver_type(SolverParameter::ADAM);
  solver.set_type("SGD");
  EXPECT_ERROR(UpgradeSolverAsNeeded("s.prototxt", &solver), "s.prototxt: sets both 'solver_type'");
}

TEST(UpgradeProto, SolverType) {
  const vector<pair<SolverParameter_SolverType, string>> types = {
      {SolverParameter::SGD, "SGD"},           {SolverParameter::NESTEROV, "Nesterov"},
      {SolverParameter::ADAGRAD, "AdaGrad"},   {SolverParameter::RMSPROP, "RMSProp"},
      {SolverParameter::ADADELTA, "AdaDelta"}, {SolverParameter::ADAM, "Adam"}};
  for (const auto& entry : types) {
    SolverParameter param;
    param.set_solver_type(entry.first);
    EXPECT_TRUE(SolverNeedsTypeUpgrade(param));
    UpgradeSolverAsNeeded("s.prototxt", &param);
    EXPECT_EQ(param.type(), entry.second);
    EXPECT_FALSE(param.has_solver_type());
  }
}

TEST(UpgradeProto, SnapshotPrefix) {
  string directory;
  MakeTempDir(&directory);
  const string file = directory + "/my_solver.prototxt";
  const auto prefix = [&](const string& text) {
    std::ofstream(file) << text;
    SolverParameter param;
    ReadSolverParamsFromTextFileOrDie(file, &param);
    return param.snapshot_prefix();
  };
  EXPECT_EQ(prefix(""), directory + "/my_solver");
  EXPECT_EQ(prefix("snapshot_prefix: '" + directory + "'"), directory + "/my_solver");
  EXPECT_EQ(prefix("snapshot_prefix: 'a/b'"), "a/b");
  EXPECT_ERROR(prefix("base_lr: 1\nbase_lrr: 2\n"), file + ":2:");
  std::filesystem::remove_all(directory);
}

}  // namespace testing
}  // namespace caffe

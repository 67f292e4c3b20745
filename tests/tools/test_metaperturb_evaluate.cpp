// Runs `metaperturb evaluate` as a user does.
#include <gtest/gtest.h>

#include <cmath>

#include "caffe/net.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

const char kData[] =
    "layer { name: 'data' type: 'Data' top: 'data' top: 'label' transform_param { scale: 0.01 }"
    " data_param { source: 'db' batch_size: 6 backend: LMDB } }\n";
// In place on the data: the second sample must not see it twice.
const char kBody[] = R"(
layer { name: "shift" type: "Power" bottom: "data" top: "data" power_param { shift: -1 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "mp" type: "MetaPerturb" bottom: "conv" top: "mp" metaperturb_param { NOISE } }
layer { name: "fc" type: "InnerProduct" bottom: "mp" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.3 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" }
)";

class MetaPerturbEvaluate : public testing::TempDirTest {
 protected:
  void SetUp() override {
    vector<Datum> datums;
    for (int i = 0; i < 23; ++i) datums.push_back(testing::ByteDatum(2, 6, 6, i % 3, 7 * i));
    testing::WriteDatums(Path("db"), datums);
    WriteNet("net.prototxt", "noise: SAMPLE");
    WriteNet("mean.prototxt", "noise: MEAN");
    Caffe::set_random_seed(3);
    NetParameter param;
    ReadNetParamsFromTextFileOrDie(Path("mean.prototxt"), &param);
    param.mutable_state()->set_phase(TRAIN);
    for (LayerParameter& layer : *param.mutable_layer()) {
      if (layer.type() == "Data") layer.mutable_data_param()->set_source(Path("db"));
    }
    Net<float> net(param);
    float* phi = net.layer_by_name("mp")->blobs()[0]->mutable_cpu_data();
    for (int i = 0; i < 82; ++i) phi[i] = 0.2f * static_cast<float>(i % 5 - 2);
    for (int i = 0; i < 4; ++i) net.Forward();  // running statistics
    NetParameter weights;
    net.ToProto(&weights);
    WriteProtoToBinaryFile(weights, Path("net.caffemodel"));
  }

  void WriteNet(const string& name, const string& noise, string data = kData) {
    string body = kBody;
    Write(name, data + body.replace(body.find("NOISE"), 5, noise));
  }
  int Evaluate(const string& arguments) {
    return Run("metaperturb", "evaluate --weights=net.caffemodel --json=e.json " + arguments);
  }
  // A number of the JSON file.
  double Value(const string& name) {
    const string json = Read("e.json"), key = "\"" + name + "\": ";
    const size_t at = json.find(key);
    EXPECT_NE(at, string::npos) << name << " in " << json;
    return at == string::npos ? NAN : std::stod(json.substr(at + key.size()));
  }
};

TEST_F(MetaPerturbEvaluate, WithoutNoiseItIsTheNetsOwnPrediction) {
  // Every image once, though the last batch begins anew.
  NetParameter param;
  ReadNetParamsFromTextFileOrDie(Path("mean.prototxt"), &param);
  param.mutable_state()->set_phase(TEST);
  for (LayerParameter& layer : *param.mutable_layer()) {
    if (layer.type() != "Data") continue;
    layer.mutable_data_param()->set_source(Path("db"));
    layer.mutable_data_param()->set_batch_size(1);
  }
  Net<float> net(param);
  net.CopyTrainedLayersFrom(Path("net.caffemodel"));
  double loss = 0, accuracy = 0;
  for (int i = 0; i < 23; ++i) {
    float one = 0;
    net.Forward(&one);
    loss += one / 23;
    accuracy += net.blob_by_name("accuracy")->cpu_data()[0] / 23;
  }
  ASSERT_EQ(Evaluate("--model=mean.prototxt --samples=3"), 0) << output_;
  EXPECT_EQ(Value("images"), 23);
  EXPECT_EQ(Value("samples"), 3);
  EXPECT_NEAR(Value("accuracy"), accuracy, 1e-6);
  EXPECT_NEAR(Value("negative_log_likelihood"), loss, 1e-5);
  EXPECT_NEAR(Value("one_sample_accuracy"), accuracy, 1e-6);
  EXPECT_EQ(Value("one_sample_accuracy_deviation"), 0);
  EXPECT_NEAR(Value("accuracy_standard_error"), std::sqrt(accuracy * (1 - accuracy) / 23), 1e-6);
  EXPECT_NE(output_.find("23 images, 3 noise sample(s)"), string::npos) << output_;
  ASSERT_EQ(Evaluate("--model=mean.prototxt --samples=1 --images=7"), 0) << output_;
  EXPECT_EQ(Value("images"), 7);
}

TEST_F(MetaPerturbEvaluate, SamplesDifferAndTheirMeanIsScored) {
  ASSERT_EQ(Evaluate("--model=net.prototxt --samples=40 --output=page.html"), 0) << output_;
  EXPECT_GT(Value("one_sample_accuracy_deviation"), 0);
  const double nll = Value("negative_log_likelihood");
  const string first = Read("e.json");
  ASSERT_EQ(Evaluate("--model=net.prototxt --samples=40"), 0) << output_;
  EXPECT_EQ(Read("e.json"), first);  // the same seed
  ASSERT_EQ(Evaluate("--model=net.prototxt --samples=40 --seed=2"), 0) << output_;
  EXPECT_NE(Read("e.json"), first);
  // By Jensen's inequality, the mean prediction is at least as likely as the samples' mean.
  double one = 0;
  for (int seed = 10; seed < 15; ++seed) {
    ASSERT_EQ(Evaluate("--model=net.prototxt --samples=1 --seed=" + std::to_string(seed)), 0);
    one += Value("negative_log_likelihood") / 5;
  }
  EXPECT_LT(nll, one);
  const string page = Read("page.html");
  for (const char* part : {"<h2>Reliability</h2>", "<svg", "expected calibration error",
                           "net.caffemodel", "</html>"}) {
    EXPECT_NE(page.find(part), string::npos) << part;
  }
}

TEST_F(MetaPerturbEvaluate, NetsThatRepeatTheirImages) {
  string data = kData;
  data.replace(data.find("top: 'data'"), 11, "top: 'image'");
  data +=
      "layer { name: 'copies' type: 'Concat' bottom: 'image' bottom: 'image' top: 'data'"
      " concat_param { axis: 0 } }\n";
  WriteNet("copies.prototxt", "noise: MEAN", data);
  // The losses, too, see two rows of scores per label; a Softmax stands for them.
  string text = Read("copies.prototxt");
  text = text.substr(0, text.find("layer { name: \"loss\"")) +
         "layer { name: 'prob' type: 'Softmax' bottom: 'fc' top: 'prob' }\n";
  Write("copies.prototxt", text);
  ASSERT_EQ(Evaluate("--model=mean.prototxt --samples=1"), 0) << output_;
  const double nll = Value("negative_log_likelihood");
  ASSERT_EQ(Evaluate("--model=copies.prototxt --samples=3"), 0) << output_;
  EXPECT_EQ(Value("samples"), 3);
  EXPECT_NEAR(Value("negative_log_likelihood"), nll, 1e-6);
}

TEST_F(MetaPerturbEvaluate, Mistakes) {
  const auto expect = [&](const string& arguments, const vector<string>& parts) {
    ExpectToolError("metaperturb", "evaluate " + arguments, parts);
  };
  const string good = "--model=net.prototxt --weights=net.caffemodel ";
  expect("--weights=net.caffemodel", {"--model is not given"});
  expect("--model=net.prototxt", {"--weights is not given"});
  expect("--model=net.prototxt --weights=missing", {"net.prototxt: missing"});
  expect(good + "--samples=0", {"--samples=0"});
  expect(good + "--images=-1", {"--images=-1"});
  expect(good + "--samples=1 --json=no/where.json", {"no/where.json: cannot be written"});
  Write("plain.prototxt",
        "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { "
        "dim: 1 dim: 2 dim: 6 dim: 6 } } }");
  expect("--model=plain.prototxt --weights=net.caffemodel", {"plain.prototxt: ", "Softmax"});
  string text = Read("net.prototxt");
  text.replace(text.find("num_output: 3"), 13, "num_output: 2");
  Write("two.prototxt", text);
  expect("--model=two.prototxt --weights=net.caffemodel", {"two.prototxt: ", "fc"});
}

}  // namespace
}  // namespace caffe

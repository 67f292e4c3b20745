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

TEST_F(MetaPerturbEvaluate, TellsWhereItPerturbs) {
  // With phi = 0 the noise is softplus(epsilon) and the scale sigmoid(0).
  NetParameter weights;
  ReadProtoFromBinaryFileOrDie(Path("net.caffemodel"), &weights);
  for (LayerParameter& layer : *weights.mutable_layer()) {
    if (layer.type() != "MetaPerturb") continue;
    for (int i = 0; i < 82; ++i) layer.mutable_blobs(0)->set_data(i, 0);
  }
  WriteProtoToBinaryFile(weights, Path("zero.caffemodel"));
  const string command = "evaluate --weights=zero.caffemodel --json=e.json --samples=2 --model=";
  ASSERT_EQ(Run("metaperturb", command + "mean.prototxt"), 0) << output_;
  EXPECT_NEAR(Value("noise_mean"), std::log(2), 1e-6);
  EXPECT_NEAR(Value("noise_deviation"), 0, 1e-3);
  EXPECT_NEAR(Value("scale_mean"), 0.5, 1e-6);
  EXPECT_NE(output_.find("perturbation in mp  noise 0.6931"), string::npos) << output_;
  ASSERT_EQ(Run("metaperturb", command + "net.prototxt"), 0) << output_;
  EXPECT_NEAR(Value("noise_mean"), 0.806, 0.05);  // E softplus(N(0, 1))
  EXPECT_NEAR(Value("noise_deviation"), 0.55, 0.1);
  EXPECT_NEAR(Value("scale_mean"), 0.5, 1e-6);
}

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
  EXPECT_EQ(Value("samples"), 1);  // all three are the same
  EXPECT_NE(output_.find("no noise in phase TEST: one sample in place of 3"), string::npos);
  EXPECT_NEAR(Value("accuracy"), accuracy, 1e-6);
  EXPECT_NEAR(Value("negative_log_likelihood"), loss, 1e-5);
  EXPECT_NEAR(Value("one_sample_accuracy"), accuracy, 1e-6);
  EXPECT_EQ(Value("one_sample_accuracy_deviation"), 0);
  EXPECT_NEAR(Value("accuracy_standard_error"), std::sqrt(accuracy * (1 - accuracy) / 23), 1e-6);
  EXPECT_NE(output_.find("23 images, 1 noise sample(s)"), string::npos) << output_;
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
  EXPECT_EQ(Value("samples"), 1);
  EXPECT_NEAR(Value("negative_log_likelihood"), nll, 1e-6);
}

// For a linear classifier of two classes the worst change within a ball is known: it takes
// epsilon |w|_1, or epsilon |w|_2, off the difference of the scores.
TEST_F(MetaPerturbEvaluate, AttacksFindALinearClassifiersWorstCase) {
  vector<Datum> datums;
  for (int i = 0; i < 40; ++i) {
    Datum datum = testing::ByteDatum(1, 4, 4, i % 2, 0);
    string pixels;
    for (int p = 0; p < 16; ++p) {
      // Far from 0 and 255; the class shows as brightness to the left or right.
      const bool bright = (p % 4 < 2) == (i % 2 == 0);
      pixels.push_back(static_cast<char>(100 + (i * 7 + p * 3) % 23 + (bright ? i : 0)));
    }
    datum.set_data(pixels);
    datums.push_back(datum);
  }
  testing::WriteDatums(Path("two"), datums);
  Write("linear.prototxt", R"(
layer { name: "data" type: "Data" top: "data" top: "label"
  transform_param { scale: 0.02 mean_value: 110 }
  data_param { source: "two" batch_size: 16 backend: LMDB } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" std: 1 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
)");
  vector<double> w(16);
  NetParameter weights;
  LayerParameter* layer = weights.add_layer();
  layer->set_name("fc");
  layer->set_type("InnerProduct");
  BlobProto* matrix = layer->add_blobs();
  matrix->mutable_shape()->add_dim(2);
  matrix->mutable_shape()->add_dim(16);
  for (int i = 0; i < 32; ++i) {
    const double value = (i < 16 ? 1 : -1) * (i % 4 < 2 ? 1.0 : -1.0) * (0.5 + 0.05 * (i % 16));
    matrix->add_data(static_cast<float>(value));
    w[i % 16] += (i < 16 ? 1 : -1) * value;  // class 0's minus class 1's
  }
  BlobProto* bias = layer->add_blobs();
  bias->mutable_shape()->add_dim(2);
  bias->add_data(0);
  bias->add_data(0);
  WriteProtoToBinaryFile(weights, Path("net.caffemodel"));

  double norm[2] = {0, 0};  // |w|_1, |w|_2
  for (const double value : w) {
    norm[0] += std::abs(value);
    norm[1] += value * value;
  }
  norm[1] = std::sqrt(norm[1]);
  const char* const radii[] = {"1,3,9", "4,12,36"};
  for (int q = 0; q < 2; ++q) {
    ASSERT_EQ(Evaluate(string("--model=linear.prototxt --samples=1 --attack_samples=1 --norm=") +
                       (q == 0 ? "inf" : "2") + " --epsilon=" + radii[q]),
              0)
        << output_;
    std::istringstream list(radii[q]);
    string json = Read("e.json");
    double before = Value("accuracy");
    EXPECT_GT(before, 0.9);
    for (string item; std::getline(list, item, ',');) {
      const double epsilon = std::stod(item);
      int safe = 0, close = 0;
      for (const Datum& datum : datums) {
        double margin = 0;
        for (int p = 0; p < 16; ++p) {
          margin += 0.02 * w[p] * (static_cast<unsigned char>(datum.data()[p]) - 110.0);
        }
        if (datum.label() == 1) margin = -margin;
        margin -= 0.02 * epsilon * norm[q];
        safe += margin > 0;
        close += std::abs(margin) < 0.01 * epsilon * norm[q] * 0.02 + 1e-6;
      }
      const string key = "{\"epsilon\": " + item + ", \"accuracy\": ";
      const size_t at = json.find(key);
      ASSERT_NE(at, string::npos) << json;
      const double accuracy = std::stod(json.substr(at + key.size()));
      EXPECT_NEAR(accuracy, safe / 40.0, (close + 0.01) / 40.0) << "norm " << q << ", " << item;
      EXPECT_LE(accuracy, before);
      before = accuracy;
    }
    EXPECT_LT(before, 0.7);
  }
}

TEST_F(MetaPerturbEvaluate, AttacksOnANetWithNoise) {
  ASSERT_EQ(Evaluate("--model=net.prototxt --samples=5 --epsilon=8,60 --attack_steps=5 "
                     "--attack_samples=3 --output=page.html"),
            0)
      << output_;
  const string first = Read("e.json");
  const double clean = Value("accuracy");
  const size_t at = first.find("{\"epsilon\": 60, \"accuracy\": ");
  ASSERT_NE(at, string::npos) << first;
  EXPECT_LT(std::stod(first.substr(at + 28)), clean);
  EXPECT_NE(Read("page.html").find("<h2>Robustness</h2>"), string::npos);
  EXPECT_NE(output_.find("epsilon 60 of 255"), string::npos) << output_;
  ASSERT_EQ(Evaluate("--model=net.prototxt --samples=5"), 0) << output_;
  EXPECT_EQ(Value("accuracy"), clean);  // attacks leave what comes before them alone
}

// The gradient of the scores' cross entropy, by hand, is that of the loss: behind a Split, too.
TEST_F(MetaPerturbEvaluate, AttacksOnANetWithoutALoss) {
  ASSERT_EQ(Evaluate("--model=net.prototxt --samples=5 --epsilon=8,60 --attack_steps=5"), 0)
      << output_;
  const string expected = Read("e.json");
  const double clean = Value("accuracy");
  string text = Read("net.prototxt");
  const string loss = "type: \"SoftmaxWithLoss\" bottom: \"fc\" bottom: \"label\"";
  text.replace(text.find(loss), loss.size(), "type: 'Softmax' bottom: 'fc'");
  for (const char* more : {"", "layer { name: 's' type: 'Silence' bottom: 'fc' }"}) {
    Write("scores.prototxt", text + more);
    ASSERT_EQ(Evaluate("--model=scores.prototxt --samples=5 --epsilon=8,60 --attack_steps=5"), 0)
        << output_;
    EXPECT_EQ(Read("e.json"), expected);
  }
  const size_t at = expected.find("{\"epsilon\": 60, \"accuracy\": ");
  ASSERT_NE(at, string::npos);
  EXPECT_LT(std::stod(expected.substr(at + 28)), clean);
}

TEST_F(MetaPerturbEvaluate, AttacksFollowThePredictionAlone) {
  const string command = " --samples=5 --epsilon=8,60 --attack_steps=5";
  ASSERT_EQ(Evaluate("--model=net.prototxt" + command), 0) << output_;
  const string expected = Read("e.json");
  Write("more.prototxt", Read("net.prototxt") +
                             "layer { name: 'more' type: 'Reduction' bottom: 'mp' top: 'more'"
                             "  loss_weight: 1000 reduction_param { operation: SUMSQ } }");
  ASSERT_EQ(Evaluate("--model=more.prototxt" + command), 0) << output_;
  EXPECT_EQ(Read("e.json"), expected);
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
  expect(good + "--samples=1000000000", {"--samples=1000000000", "100000"});
  Write(
      "list.prototxt",
      "layer { name: 'data' type: 'ImageData' top: 'data' top: 'label' image_data_param { source: "
      "'none.txt' batch_size: 1 } }");
  expect("--model=list.prototxt --weights=net.caffemodel", {"none.txt: cannot be opened"});
  expect(good + "--images=-1", {"--images=-1"});
  expect(good + "--images=24", {"net.prototxt: --images=24: the data layer has 23"});
  NetParameter weights;
  ReadProtoFromBinaryFileOrDie(Path("net.caffemodel"), &weights);
  for (LayerParameter& layer : *weights.mutable_layer()) {
    if (layer.name() == "fc") layer.mutable_blobs(0)->set_data(0, NAN);
  }
  WriteProtoToBinaryFile(weights, Path("nan.caffemodel"));
  expect("--model=net.prototxt --weights=nan.caffemodel --json=nan.json",
         {"net.prototxt: ", "the prediction of image 0", "not finite"});
  EXPECT_FALSE(Exists("nan.json"));
  expect(good + "--epsilon=2,x", {"--epsilon=2,x: 'x' is no positive number"});
  expect(good + "--epsilon=2 --norm=1", {"--norm=1: inf or 2"});
  expect(good + "--epsilon=2 --attack_steps=0", {"--attack_steps=0"});
  // Before anything else is looked at.
  const string missing = "--model=missing --weights=missing ";
  expect(missing + "--json=no/where.json", {"no/where.json: cannot be written: No such file"});
  expect(missing + "--output=no/where.html", {"no/where.html: cannot be written: No such file"});
  expect(missing + "--output=page.html", {"missing"});
  EXPECT_FALSE(Exists("page.html"));
  Write("plain.prototxt",
        "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { "
        "dim: 1 dim: 2 dim: 6 dim: 6 } } }");
  expect("--model=plain.prototxt --weights=net.caffemodel", {"plain.prototxt: ", "give --images"});
  expect("--model=plain.prototxt --weights=net.caffemodel --images=1",
         {"plain.prototxt: ", "labels"});
  string text = Read("net.prototxt");
  text.replace(text.find("num_output: 3"), 13, "num_output: 2");
  Write("two.prototxt", text);
  text = Read("net.prototxt");
  const string loss = "type: \"SoftmaxWithLoss\" bottom: \"fc\" bottom: \"label\" top: \"loss\"";
  text.replace(text.find(loss), loss.size(), "type: 'Softmax' bottom: 'fc' top: 'fc'");
  Write("place.prototxt", text);
  expect("--model=place.prototxt --weights=net.caffemodel",
         {"place.prototxt: layer 'loss' (Softmax) works in place"});
  expect("--model=two.prototxt --weights=net.caffemodel", {"two.prototxt: ", "fc"});
}

}  // namespace
}  // namespace caffe

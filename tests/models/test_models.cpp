// The networks of models/: what generates them, what they contain, that they run.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "solvers/meta_solver.hpp"
#include "testing/data_util.hpp"
#include "testing/model_util.hpp"

namespace caffe {
namespace testing {
namespace {

const char* const kModels[] = {"resnet20", "resnet32", "resnet44",  "resnet56",    "resnet18",
                               "resnet34", "resnet50", "wrn28_2",   "vgg9",        "vgg16",
                               "conv4",    "conv6",    "mobilenet", "mobilenet_v2"};
const char* const kNets[] = {"train_val", "train_val_mp", "meta_train_val"};

class Models : public TempDirTest {
 protected:
  /// The model as its user has it: on LMDBs (here four images of 96x96) and a file with phi.
  NetParameter OnFiles(const string& file, Phase phase) {
    if (!Exists("data")) {
      vector<Datum> images;
      for (int i = 0; i < 4; ++i) images.push_back(ByteDatum(3, 96, 96, i, 50 * i));
      WriteDatums(Path("data"), images);
      NetParameter phi;
      LayerParameter* layer = phi.add_layer();
      layer->set_name("phi");
      layer->set_type("MetaPerturb");
      layer->add_blobs()->mutable_shape()->add_dim(82);
      for (int i = 0; i < 82; ++i) layer->mutable_blobs(0)->add_data(0.01f * i);
      WriteProtoToBinaryFile(phi, Path("phi.caffemodel"));
    }
    NetParameter net = ReadModel(file, phase);
    for (LayerParameter& layer : *net.mutable_layer()) {
      if (layer.metaperturb_param().has_phi()) {
        EXPECT_EQ("models/phi/tiny_imagenet_resnet20.caffemodel", layer.metaperturb_param().phi());
        layer.mutable_metaperturb_param()->set_phi(Path("phi.caffemodel"));
      }
      if (layer.type() != "Data") continue;
      layer.mutable_data_param()->set_source(Path("data"));
      layer.mutable_data_param()->set_batch_size(2);
    }
    return net;
  }
};

/// Values that are learned when the model is trained: neither running statistics nor phi.
size_t Weights(const Net<float>& net) {
  size_t count = 0;
  for (const auto& layer : net.layers()) {
    const std::set<string> learned = {"Convolution", "Scale", "InnerProduct"};
    if (learned.count(layer->type()) == 0) continue;
    for (const auto& blob : layer->blobs()) count += blob->count();
  }
  return count;
}

TEST_F(Models, AreWhatGenerateWrites) {
  for (const string model : kModels) {
    const string folder = "models/" + model;
    ASSERT_EQ(0, Run("metaperturb",
                     "generate --model=" + model +
                         " --phi=models/phi/tiny_imagenet_resnet20.caffemodel --test_samples=5"
                         " --output=" +
                         folder))
        << output_;
    std::set<string> written;
    for (const auto& entry : std::filesystem::directory_iterator(Path(folder))) {
      const string name = entry.path().filename();
      written.insert(name);
      std::ifstream file(METAPERTURB_SOURCE_DIR "/" + folder + "/" + name, std::ios::binary);
      EXPECT_EQ(string(std::istreambuf_iterator<char>(file), {}), Read(folder + "/" + name))
          << folder << "/" << name;
    }
    EXPECT_EQ((std::set<string>{"meta_train_val.prototxt", "solver.prototxt", "solver_mp.prototxt",
                                "train_val.prototxt", "train_val_mp.prototxt"}),
              written);
  }
}

TEST_F(Models, BuildAndRunOnDatabases) {
  for (const string model : kModels) {
    for (const string name : kNets) {
      SCOPED_TRACE(model + "/" + name);
      Net<float> train(OnFiles(model + "/" + name + ".prototxt", TRAIN));
      const bool large = model == "resnet18" || model == "resnet34" || model == "resnet50";
      EXPECT_EQ(large ? 84 : 32, train.blob_by_name("data")->height());
      float loss = NAN;
      train.Forward(&loss);
      EXPECT_TRUE(std::isfinite(loss) && loss > 0) << loss;
      train.Backward();
      EXPECT_GT(train.layer_by_name("conv1")->blobs()[0]->sumsq_diff(), 0);
      // TEST needs the running statistics of a pass in TRAIN.
      Net<float> test(OnFiles(model + "/" + name + ".prototxt", TEST));
      test.ShareTrainedLayersWith(&train);
      loss = NAN;
      test.Forward(&loss);
      EXPECT_TRUE(std::isfinite(loss)) << loss;
      const float accuracy = test.blob_by_name("accuracy")->cpu_data()[0];
      EXPECT_TRUE(accuracy >= 0 && accuracy <= 1) << accuracy;
    }
  }
}

TEST_F(Models, HaveTheParametersOfTheirPapers) {
  // 3x3 convolutions without bias, a scale and a shift per channel of each, a classifier of 10.
  size_t resnet = 3 * 16 * 9 + 2 * 16;
  resnet += 6 * (16 * 16 * 9 + 2 * 16);
  resnet += 16 * 32 * 9 + 5 * 32 * 32 * 9 + 6 * 2 * 32;
  resnet += 32 * 64 * 9 + 5 * 64 * 64 * 9 + 6 * 2 * 64;
  resnet += 64 * 10 + 10;
  EXPECT_EQ(269722u, resnet);  // "0.27M" in He et al., table 6

  size_t vgg = 512 * 10 + 10, channels = 3;
  for (const size_t next : {64, 128, 256, 256, 512, 512, 512, 512}) {
    vgg += channels * next * 9 + 2 * next;
    channels = next;
  }

  size_t mobilenet = 3 * 32 * 9 + 2 * 32;
  channels = 32;
  for (const size_t next : {64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024}) {
    mobilenet += channels * 9 + 2 * channels + channels * next + 2 * next;
    channels = next;
  }
  EXPECT_EQ(3206976u, mobilenet);  // the usual count of MobileNet v1 without its classifier
  mobilenet += 1024 * 10 + 10;

  // Counts that are published for 1000 classes, with the classifier of 10 in place of theirs.
  const auto of_10 = [](size_t of_1000, size_t features) { return of_1000 - 990 * (features + 1); };
  const size_t conv4 = 3 * 64 * 9 + 2 * 64 + 3 * (64 * 64 * 9 + 2 * 64);
  EXPECT_EQ(113088u, conv4 + 4 * 64);  // the usual count, whose convolutions have biases
  const struct {
    const char* model;
    size_t weights;
    int layers;  // MetaPerturb
  } expected[] = {{"resnet20", resnet, 9},
                  {"resnet32", 464154, 15},  // "0.46M", "0.66M", "0.85M" in He et al., table 6
                  {"resnet44", 658586, 21},
                  {"resnet56", 853018, 27},
                  {"resnet18", of_10(11689512, 512), 8},  // as torchvision's
                  {"resnet34", of_10(21797672, 512), 16},
                  {"resnet50", of_10(25557032, 2048), 16},
                  {"wrn28_2", 1467610, 12},
                  {"vgg9", vgg, 8},
                  {"vgg16", 14728266 - 4224, 13},  // the usual count for CIFAR-10, without biases
                  {"conv4", conv4 + 64 * 2 * 2 * 10 + 10, 4},
                  {"conv6", conv4 + 2 * (64 * 64 * 9 + 2 * 64) + 64 * 2 * 2 * 10 + 10, 6},
                  {"mobilenet", mobilenet, 27},
                  {"mobilenet_v2", of_10(3504872, 1280), 10}};  // as torchvision's
  ASSERT_EQ(std::size(kModels), std::size(expected));
  for (const auto& e : expected) {
    for (const string name : kNets) {
      SCOPED_TRACE(e.model + ("/" + name));
      const NetParameter param =
          ModelWithoutData(string(e.model) + "/" + name + ".prototxt", TRAIN, 2);
      EXPECT_EQ(name == "train_val" ? 0 : e.layers, CountLayers(param, "MetaPerturb"));
      EXPECT_EQ(e.weights, Weights(Net<float>(param)));
    }
  }
}

TEST_F(Models, HaveTheShapesOfTheirPapers) {
  Net<float> resnet(ModelWithoutData("resnet20/train_val.prototxt", TRAIN, 2));
  EXPECT_EQ((vector<int>{2, 16, 32, 32}), resnet.blob_by_name("res2c")->shape());
  EXPECT_EQ((vector<int>{2, 32, 16, 16}), resnet.blob_by_name("res3c")->shape());
  EXPECT_EQ((vector<int>{2, 64, 8, 8}), resnet.blob_by_name("res4c")->shape());
  const auto shape = [](const string& model, const string& blob) {
    Net<float> net(ModelWithoutData(model + "/train_val.prototxt", TRAIN, 2));
    return net.blob_by_name(blob)->shape();
  };
  EXPECT_EQ((vector<int>{2, 512, 2, 2}), shape("vgg9", "conv8"));
  EXPECT_EQ((vector<int>{2, 512, 2, 2}), shape("vgg16", "conv13"));
  EXPECT_EQ((vector<int>{2, 64, 2, 2}), shape("conv4", "pool4"));
  EXPECT_EQ((vector<int>{2, 64, 2, 2}), shape("conv6", "conv6"));
  EXPECT_EQ((vector<int>{2, 128, 8, 8}), shape("wrn28_2", "wide4d"));
  EXPECT_EQ((vector<int>{2, 64, 21, 21}), shape("resnet18", "pool1"));
  EXPECT_EQ((vector<int>{2, 2048, 3, 3}), shape("resnet50", "res5c"));
  EXPECT_EQ((vector<int>{2, 1024, 2, 2}), shape("mobilenet", "conv14_pw"));
  EXPECT_EQ((vector<int>{2, 1280, 4, 4}), shape("mobilenet_v2", "conv_last"));
}

// Above 64 pixels, MobileNets halve the image at their beginning, and H_norm is the image's height.
TEST_F(Models, OfOtherSizes) {
  const struct {
    const char* model;
    int crop;
    const char* blob;
    vector<int> shape;
  } expected[] = {{"mobilenet", 224, "conv14_pw", {2, 1024, 7, 7}},
                  {"mobilenet", 84, "conv14_pw", {2, 1024, 3, 3}},
                  {"mobilenet_v2", 224, "conv_last", {2, 1280, 7, 7}},
                  {"resnet34", 224, "res5c", {2, 512, 7, 7}},
                  {"resnet20", 64, "res4c", {2, 64, 16, 16}}};
  for (const auto& e : expected) {
    SCOPED_TRACE(e.model + (" " + std::to_string(e.crop)));
    ASSERT_EQ(0,
              Run("metaperturb", string("generate --mp --output=net.prototxt --batch=2 --model=") +
                                     e.model + " --crop=" + std::to_string(e.crop)))
        << output_;
    NetParameter param;
    ReadNetParamsFromTextFileOrDie(Path("net.prototxt"), &param);
    param.mutable_state()->set_phase(TRAIN);
    vector<Datum> image = {ByteDatum(3, e.crop, e.crop, 0, 1)};
    if (!Exists("data" + std::to_string(e.crop))) {
      WriteDatums(Path("data" + std::to_string(e.crop)), image);
    }
    for (LayerParameter& layer : *param.mutable_layer()) {
      if (layer.type() == "Data") {
        layer.mutable_data_param()->set_source(Path("data" + std::to_string(e.crop)));
      }
      if (layer.type() != "MetaPerturb") continue;
      EXPECT_EQ(static_cast<float>(e.crop), layer.metaperturb_param().spatial_norm_factor());
    }
    EXPECT_EQ(e.shape, Net<float>(param).blob_by_name(e.blob)->shape());
  }
}

TEST_F(Models, MetaNetsShareOnePhi) {
  for (const string model : kModels) {
    Net<float> net(ModelWithoutData(model + "/meta_train_val.prototxt", TRAIN, 2));
    std::set<const float*> phis;
    for (const auto& layer : net.layers()) {
      if (string(layer->type()) == "MetaPerturb") phis.insert(layer->blobs()[0]->cpu_data());
    }
    EXPECT_EQ(1u, phis.size()) << model;
    EXPECT_TRUE(net.has_blob("accuracy")) << model;  // which the run shows
  }
}

TEST_F(Models, MetaSolverNamesTheNetAndItsTasks) {
  MetaSolverParameter param;  // as it stands there: the list of tasks is not there yet
  ReadProtoFromTextFileOrDie(METAPERTURB_SOURCE_DIR "/models/resnet20/meta_solver.prototxt",
                             &param);
  EXPECT_EQ("models/resnet20/meta_train_val.prototxt", param.net());
  EXPECT_EQ(0, param.task_size());
  ASSERT_EQ(1, param.task_list_size());  // where data/README.md tells `metaperturb split` to write
  EXPECT_EQ("data/tiny_imagenet/tasks/tasks.prototxt", param.task_list(0));
}

TEST_F(Models, TestAveragesNoiseSamples) {
  Net<float> train(ModelWithoutData("resnet20/train_val_mp.prototxt", TRAIN, 2));
  for (int i = 0; i < 3; ++i) train.Forward();  // running statistics
  Net<float> net(ModelWithoutData("resnet20/train_val_mp.prototxt", TEST, 2));
  net.ShareTrainedLayersWith(&train);
  EXPECT_EQ((vector<int>{10, 10}), net.blob_by_name("prob")->shape());
  EXPECT_EQ((vector<int>{2, 10}), net.blob_by_name("mean_prob")->shape());
  net.Forward();
  const float* sum = net.blob_by_name("mean_prob")->cpu_data();
  const float* prob = net.blob_by_name("prob")->cpu_data();
  bool differ = false;
  for (int i = 0; i < 20; ++i) {
    float expected = 0;
    for (int sample = 0; sample < 5; ++sample) expected += prob[sample * 20 + i];
    EXPECT_NEAR(expected, sum[i], 1e-5);
    differ |= prob[i] != prob[20 + i];
  }
  EXPECT_TRUE(differ) << "the samples have the same noise";
}

}  // namespace
}  // namespace testing
}  // namespace caffe

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

const char* const kModels[] = {"resnet20", "vgg9", "mobilenet"};
const char* const kNets[] = {"train_val", "train_val_mp", "meta_train_val"};

class Models : public TempDirTest {
 protected:
  /// The model as its user has it: on LMDBs (here four images of 40x40) and a file with phi.
  NetParameter OnFiles(const string& file, Phase phase) {
    if (!Exists("data")) {
      vector<Datum> images;
      for (int i = 0; i < 4; ++i) images.push_back(ByteDatum(3, 40, 40, i, 50 * i));
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
        EXPECT_EQ("models/phi/phi.caffemodel", layer.metaperturb_param().phi());
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
    ASSERT_EQ(0, Run("metaperturb", "generate --model=" + model +
                                        " --phi=models/phi/phi.caffemodel --test_samples=5"
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
      EXPECT_EQ(32, train.blob_by_name("data")->height());
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

  const size_t expected[] = {resnet, vgg, mobilenet};
  const int layers[] = {9, 8, 27};
  for (int i = 0; i < 3; ++i) {
    for (const string name : kNets) {
      SCOPED_TRACE(kModels[i] + ("/" + name));
      const NetParameter param =
          ModelWithoutData(string(kModels[i]) + "/" + name + ".prototxt", TRAIN, 2);
      EXPECT_EQ(name == "train_val" ? 0 : layers[i], CountLayers(param, "MetaPerturb"));
      EXPECT_EQ(expected[i], Weights(Net<float>(param)));
    }
  }
}

TEST_F(Models, HaveTheShapesOfTheirPapers) {
  Net<float> resnet(ModelWithoutData("resnet20/train_val.prototxt", TRAIN, 2));
  EXPECT_EQ((vector<int>{2, 16, 32, 32}), resnet.blob_by_name("res2c")->shape());
  EXPECT_EQ((vector<int>{2, 32, 16, 16}), resnet.blob_by_name("res3c")->shape());
  EXPECT_EQ((vector<int>{2, 64, 8, 8}), resnet.blob_by_name("res4c")->shape());
  Net<float> vgg(ModelWithoutData("vgg9/train_val.prototxt", TRAIN, 2));
  EXPECT_EQ((vector<int>{2, 512, 2, 2}), vgg.blob_by_name("conv8")->shape());
  Net<float> mobilenet(ModelWithoutData("mobilenet/train_val.prototxt", TRAIN, 2));
  EXPECT_EQ((vector<int>{2, 1024, 2, 2}), mobilenet.blob_by_name("conv14_pw")->shape());
}

TEST_F(Models, MetaNetsShareOnePhi) {
  for (const string model : kModels) {
    Net<float> net(ModelWithoutData(model + "/meta_train_val.prototxt", TRAIN, 2));
    std::set<const float*> phis;
    for (const auto& layer : net.layers()) {
      if (string(layer->type()) == "MetaPerturb") phis.insert(layer->blobs()[0]->cpu_data());
    }
    EXPECT_EQ(1u, phis.size()) << model;
  }
}

TEST_F(Models, MetaSolverNamesTheNetAndItsTasks) {
  const MetaSolverParameter param =
      ReadMetaSolverParameter(METAPERTURB_SOURCE_DIR "/models/resnet20/meta_solver.prototxt");
  EXPECT_EQ("models/resnet20/meta_train_val.prototxt", param.net());
  ASSERT_EQ(10, param.task_size());
  for (const auto& task : param.task()) EXPECT_EQ(40, task.num_output()) << task.name();
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

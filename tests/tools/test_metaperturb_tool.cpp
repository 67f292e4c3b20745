// Runs `metaperturb insert`, `generate` and `plot` as a user does.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "caffe/net.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_proto.hpp"

namespace caffe {
namespace {

namespace fs = std::filesystem;

class MetaPerturbTool : public ::testing::Test {
 protected:
  void SetUp() override { MakeTempDir(&directory_); }
  void TearDown() override { fs::remove_all(directory_); }

  string Path(const string& name) const { return directory_ + "/" + name; }
  void Write(const string& name, const string& text) const { std::ofstream(Path(name)) << text; }
  string Read(const string& name) const {
    std::ifstream file(Path(name));
    return string(std::istreambuf_iterator<char>(file), {});
  }

  int Run(const string& arguments) {
    const string command =
        "cd " + directory_ + " && " METAPERTURB_BIN_DIR "/metaperturb " + arguments + " >log 2>&1";
    const int status = std::system(command.c_str());
    output_ = Read("log");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void ExpectError(const string& arguments, const string& part) {
    EXPECT_EQ(1, Run(arguments)) << arguments;
    EXPECT_EQ(0u, output_.find("ERROR: ")) << output_;
    EXPECT_EQ(output_.size() - 1, output_.find('\n')) << output_;
    EXPECT_NE(string::npos, output_.find(part)) << output_;
  }

  string directory_, output_;
};

TEST_F(MetaPerturbTool, Commands) {
  EXPECT_EQ(0, Run("help"));
  EXPECT_NE(string::npos, output_.find("insert"));
  ExpectError("inser", "unknown command 'inser' (did you mean 'insert'?)");
  ExpectError("", "no command is given");
  ExpectError("plot more", "unexpected argument 'more'");
}

TEST_F(MetaPerturbTool, InsertsIntoAFile) {
  const string model = METAPERTURB_SOURCE_DIR "/models/vgg9/train_val.prototxt";
  ASSERT_EQ(0, Run("insert --model=" + model + " --output=mp.prototxt --shared")) << output_;
  NetParameter net;
  ReadNetParamsFromTextFileOrDie(Path("mp.prototxt"), &net);
  int count = 0;
  for (const LayerParameter& layer : net.layer()) {
    if (layer.type() == "MetaPerturb") count += layer.param(0).name() == "phi";
  }
  EXPECT_EQ(8, count);
  ExpectError("insert --model=mp.prototxt --output=b.prototxt", "mp.prototxt: layer 'conv1_");
  ExpectError("insert --model=missing.prototxt --output=b.prototxt", "missing.prototxt");
  ExpectError("insert --output=b.prototxt", "--model is not given");
}

TEST_F(MetaPerturbTool, ModelsAreWhatGenerateWrites) {
  for (const string model : {"resnet20", "vgg9", "mobilenet"}) {
    const string folder = "models/" + model;
    ASSERT_EQ(0, Run("generate --model=" + model +
                     " --phi=models/phi/phi.caffemodel --test_samples=5 --output=" + folder))
        << output_;
    for (const auto& entry : fs::directory_iterator(Path(folder))) {
      const string name = entry.path().filename();
      std::ifstream file(METAPERTURB_SOURCE_DIR "/" + folder + "/" + name);
      EXPECT_EQ(string(std::istreambuf_iterator<char>(file), {}), Read(folder + "/" + name))
          << folder << "/" << name;
    }
  }
  ExpectError("generate --model=resnet21 --output=x", "unknown model 'resnet21'");
  ExpectError("generate --model=vgg9 --output=x --batch=0", "--batch=0: must be positive");
}

// The data layers of a model give way to constants.
NetParameter WithoutData(const string& file, Phase phase) {
  NetParameter net;
  ReadNetParamsFromTextFileOrDie(METAPERTURB_SOURCE_DIR "/models/" + file, &net);
  net.mutable_state()->set_phase(phase);
  for (LayerParameter& layer : *net.mutable_layer()) {
    layer.mutable_metaperturb_param()->clear_phi();
    if (layer.type() != "Data") continue;
    layer.set_type("DummyData");
    DummyDataParameter* data = layer.mutable_dummy_data_param();
    for (const int dim : {2, 3, 32, 32}) {
      if (data->shape_size() == 0) data->add_shape();
      data->mutable_shape(0)->add_dim(dim);
    }
    data->add_shape()->add_dim(2);
    data->add_data_filler()->set_type("gaussian");
    data->add_data_filler();
  }
  return net;
}

TEST_F(MetaPerturbTool, ModelsHaveTheShapesOfTheirPapers) {
  Net<float> resnet(WithoutData("resnet20/train_val.prototxt", TRAIN));
  EXPECT_EQ((vector<int>{2, 64, 8, 8}), resnet.blob_by_name("res4c")->shape());
  float loss = 0;
  resnet.Forward(&loss);
  EXPECT_TRUE(std::isfinite(loss));
  size_t weights = 0;
  for (const auto* blob : resnet.learnable_params())
    weights += blob->shape().size() == 4 ? blob->count() : 0;
  EXPECT_EQ(267696u, weights);  // 9 (3 16 + 6 16 16 + 16 32 + 5 32 32 + 32 64 + 5 64 64)
  Net<float> mobilenet(WithoutData("mobilenet/train_val.prototxt", TRAIN));
  EXPECT_EQ((vector<int>{2, 1024, 4, 4}), mobilenet.blob_by_name("conv14_pw")->shape());
}

TEST_F(MetaPerturbTool, TestAveragesNoiseSamples) {
  Net<float> net(WithoutData("resnet20/train_val_mp.prototxt", TEST));
  EXPECT_EQ((vector<int>{10, 10}), net.blob_by_name("prob")->shape());
  EXPECT_EQ((vector<int>{2, 10}), net.blob_by_name("mean_prob")->shape());
  net.Forward();
  const float* sum = net.blob_by_name("mean_prob")->cpu_data();
  const float* prob = net.blob_by_name("prob")->cpu_data();
  for (int i = 0; i < 20; ++i) {
    float expected = 0;
    for (int sample = 0; sample < 5; ++sample) expected += prob[sample * 20 + i];
    EXPECT_NEAR(expected, sum[i], 1e-5);
  }
}

TEST_F(MetaPerturbTool, PlotsLogs) {
  Write("a.log",
        "I1124 02:50:06.70 139 solver.cpp:233] Iteration 0 (0 iter/s, 0s/10 iters), loss = 2.5\n"
        "I1124 02:50:06.70 139 solver.cpp:297] Iteration 10, Testing net (#0)\n"
        "I1124 02:50:06.70 139 solver.cpp:71]     Test net output #0: accuracy = 0.75\n"
        "I1124 02:50:06.70 139 solver.cpp:233] Iteration 10 (5 iter/s, 2s/10 iters), loss = 1.5\n");
  ASSERT_EQ(0, Run("plot '--log=plain & simple:a.log,again:a.log' --output=a.svg")) << output_;
  const string svg = Read("a.svg");
  EXPECT_EQ(0u, svg.find("<svg "));
  EXPECT_NE(string::npos, svg.find("plain &amp; simple"));
  size_t lines = 0;
  for (size_t at = svg.find("<polyline"); at != string::npos; at = svg.find("<polyline", at + 1)) {
    ++lines;
  }
  EXPECT_EQ(4u, lines);
  Write("empty.log", "nothing\n");
  ExpectError("plot --log=x:empty.log --output=a.svg", "empty.log: has no line");
  ExpectError("plot --log=x:none.log --output=a.svg", "none.log: cannot be read");
  ExpectError("plot --log=a.log --output=a.svg", "'a.log' is not of the form NAME:FILE");
}

}  // namespace
}  // namespace caffe

// The programs with --gpu, as a user runs them, against the same on the CPU.
#include <gtest/gtest.h>

#include <cstdlib>
#include <regex>

#include "caffe/util/device.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

const char kNet[] = R"(name: "small"
layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.02 }
  data_param { source: "db" batch_size: 6 backend: LMDB } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }
layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } }
layer { name: "mp" type: "MetaPerturb" bottom: "bn" top: "mp" }
layer { name: "relu" type: "ReLU" bottom: "mp" top: "mp" }
layer { name: "pool" type: "Pooling" bottom: "mp" top: "pool"
  pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.3 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy"
  include { phase: TEST } }
)";
const char kSolver[] =
    "net: 'net.prototxt' base_lr: 0.01 lr_policy: 'fixed' momentum: 0.9 momentum2: 0.999 type: "
    "'Adam' "
    "weight_decay: 0.001 random_seed: 3 display: 1 max_iter: 6 snapshot: 3 test_iter: 2 "
    "test_interval: 3\n";

class ToolsGpu : public testing::TempDirTest {
 protected:
  void SetUp() override {
    string why_not;
    if (!Device::IsThere(&why_not)) GTEST_SKIP() << why_not;
    vector<Datum> datums;
    for (int i = 0; i < 24; ++i) datums.push_back(testing::ByteDatum(2, 6, 6, i % 3, 7 * i));
    testing::WriteDatums(Path("db"), datums);
    Write("net.prototxt", kNet);
    Write("solver.prototxt", kSolver);
  }

  /// The numbers behind `name` in what was printed.
  vector<double> Numbers(const string& name) const {
    vector<double> numbers;
    const std::regex pattern(name + "([-+0-9.e]+)");
    for (std::sregex_iterator i(output_.begin(), output_.end(), pattern), end; i != end; ++i) {
      numbers.push_back(std::stod((*i)[1]));
    }
    return numbers;
  }
  static void ExpectNear(const vector<double>& a, const vector<double>& b, double tolerance) {
    ASSERT_EQ(a.size(), b.size());
    ASSERT_FALSE(a.empty());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], tolerance) << i;
  }
};

TEST_F(ToolsGpu, TrainingEqualsThatOfTheCpu) {
  ASSERT_EQ(Run("caffe", "train --solver=solver.prototxt"), 0) << output_;
  const vector<double> cpu = Numbers("loss = ");
  EXPECT_NE(output_.find("Use CPU."), string::npos);
  ASSERT_EQ(Run("caffe", "train --solver=solver.prototxt --gpu=0"), 0) << output_;
  EXPECT_NE(output_.find("Using GPU 0"), string::npos);
  ExpectNear(Numbers("loss = "), cpu, 2e-3);
}

TEST_F(ToolsGpu, ASnapshotGoesOnAsIfItHadNotStopped) {
  ASSERT_EQ(Run("caffe", "train --solver=solver.prototxt --gpu=0"), 0) << output_;
  const string whole = Read("solver_iter_6.caffemodel");
  std::filesystem::remove(Path("solver_iter_6.caffemodel"));
  ASSERT_EQ(Run("caffe",
                "train --solver=solver.prototxt --gpu=0 "
                "--snapshot=solver_iter_3.solverstate"),
            0)
      << output_;
  EXPECT_TRUE(whole == Read("solver_iter_6.caffemodel"));
}

TEST_F(ToolsGpu, SeveralGpusTrainTogether) {
  if (Device::Get().Count() < 2) GTEST_SKIP() << "there is one GPU";
  ASSERT_EQ(Run("caffe", "train --solver=solver.prototxt --gpu=0,1"), 0) << output_;
  EXPECT_NE(output_.find("Using GPUs 0, 1"), string::npos) << output_;
  EXPECT_NE(output_.find("an iteration has 2 times as many images"), string::npos) << output_;
  const string whole = Read("solver_iter_6.caffemodel");
  std::filesystem::remove(Path("solver_iter_6.caffemodel"));
  ASSERT_EQ(
      Run("caffe", "train --solver=solver.prototxt --gpu=0,1 --snapshot=solver_iter_3.solverstate"),
      0)
      << output_;
  EXPECT_TRUE(whole == Read("solver_iter_6.caffemodel"));
  EXPECT_EQ(output_.find("was written with random seed"), string::npos) << output_;
}

TEST_F(ToolsGpu, SolverModeNamesTheGpu) {
  Write("solver.prototxt", string(kSolver) + "solver_mode: GPU device_id: 0\n");
  ASSERT_EQ(Run("caffe", "train --solver=solver.prototxt"), 0) << output_;
  EXPECT_NE(output_.find("Using GPU 0"), string::npos) << output_;
}

TEST_F(ToolsGpu, TestAndTimeAndDeviceQuery) {
  ASSERT_EQ(Run("caffe", "train --solver=solver.prototxt"), 0) << output_;
  // `caffe test` has no seed for the noise.
  const string mp = "type: \"MetaPerturb\"", mean = mp + " metaperturb_param { noise: MEAN }";
  Write("mean.prototxt", string(kNet).replace(string(kNet).find(mp), mp.size(), mean));
  const string test =
      "test --model=mean.prototxt --weights=solver_iter_6.caffemodel --iterations=3";
  ASSERT_EQ(Run("caffe", test), 0) << output_;
  const vector<double> cpu = Numbers("loss = ");
  ASSERT_EQ(Run("caffe", test + " --gpu=0"), 0) << output_;
  ExpectNear(Numbers("loss = "), cpu, 2e-3);
  ASSERT_EQ(Run("caffe", "time --model=net.prototxt --iterations=2 --gpu=0"), 0) << output_;
  EXPECT_EQ(1u, Numbers("Average Forward-Backward: ").size()) << output_;
  ASSERT_EQ(Run("caffe", "device_query --gpu=0"), 0) << output_;
  EXPECT_NE(output_.find("Name: "), string::npos) << output_;
}

TEST_F(ToolsGpu, EvaluationEqualsThatOfTheCpu) {
  ASSERT_EQ(Run("caffe", "train --solver=solver.prototxt"), 0) << output_;
  const string evaluate =
      "evaluate --model=net.prototxt --weights=solver_iter_6.caffemodel --samples=3 --images=20 "
      "--epsilon=2 --attack_steps=2 --attack_samples=2 --json=e.json";
  const auto number = [this](const string& name) {
    const string json = Read("e.json"), key = "\"" + name + "\": ";
    const size_t at = json.find(key);
    EXPECT_NE(at, string::npos) << name << " in " << json;
    return std::stod(json.substr(at + key.size()));
  };
  const vector<string> names = {"negative_log_likelihood", "noise_mean", "noise_deviation",
                                "scale_mean"};
  ASSERT_EQ(Run("metaperturb", evaluate), 0) << output_;
  vector<double> cpu, gpu;
  for (const string& name : names) cpu.push_back(number(name));
  ASSERT_EQ(Run("metaperturb", evaluate + " --gpu=0"), 0) << output_;
  for (const string& name : names) gpu.push_back(number(name));
  ExpectNear(gpu, cpu, 2e-3);
}

TEST_F(ToolsGpu, Mistakes) {
  const string train = "train --solver=solver.prototxt --gpu=";
  ExpectToolError("caffe", train + "x", {"--gpu=x: 'x' is no number of a GPU"});
  ExpectToolError("caffe", train + "99", {"--gpu=99: GPU 99: there "});
  ExpectToolError("caffe", train + "0,0", {"--gpu=0,0: GPU 0 is named twice"});
  ExpectToolError("caffe", train + "0,", {"--gpu=0,: '' is no number"});
  if (Device::Get().Count() > 1) {
    const string test = "test --model=net.prototxt --weights=x --gpu=";
    ExpectToolError("caffe", test + "0,1", {"--gpu=0,1: names 2 GPUs; 1 process(es) here"});
    ExpectToolError("caffe", test + "all", {"--gpu=all: names "});
  }
}

// Needs no GPU; what METAPERTURB_GPU names is chosen by each program anew.
class GpuVariable : public testing::TempDirTest {};

TEST_F(GpuVariable, NamesWhatIsKnownOnly) {
  const char* before = std::getenv("METAPERTURB_GPU");
  const string kept = before ? before : "";
  setenv("METAPERTURB_GPU", "emulate", 1);
  ExpectToolError("caffe", "device_query --gpu=0",
                  {"--gpu=0: GPU mode: METAPERTURB_GPU=emulate: only 'emulated' is known"});
  before ? setenv("METAPERTURB_GPU", kept.c_str(), 1) : unsetenv("METAPERTURB_GPU");
}

}  // namespace
}  // namespace caffe

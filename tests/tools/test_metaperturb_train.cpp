// Runs `metaperturb train` as a user does.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "caffe/util/io.hpp"

namespace caffe {
namespace {

namespace fs = std::filesystem;

const char kNet[] = R"(name: "small"
layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 4 dim: 2 dim: 5 dim: 5 } shape { dim: 4 }
                     data_filler { type: "gaussian" } data_filler { value: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "mp" type: "MetaPerturb" bottom: "conv" top: "mp" param { name: "phi" } }
layer { name: "fc" type: "InnerProduct" bottom: "mp" top: "fc"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
)";
const char kRun[] = R"(net: "net.prototxt" random_seed: 3 display: 1
task { name: "a" } task { name: "b" num_output: 3 }
theta { base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 }
phi { base_lr: 0.01 lr_policy: "fixed" type: "Adam" momentum: 0.9 }
)";

class MetaPerturbTrainTool : public ::testing::Test {
 protected:
  void SetUp() override {
    MakeTempDir(&directory_);
    Write("net.prototxt", kNet);
    Write("run.prototxt", string(kRun) + "max_iter: 4 snapshot: 2");
  }
  void TearDown() override { fs::remove_all(directory_); }

  string Path(const string& name) const { return directory_ + "/" + name; }
  void Write(const string& name, const string& text) const { std::ofstream(Path(name)) << text; }
  string Read(const string& name) const {
    std::ifstream file(Path(name), std::ios::binary);
    return string(std::istreambuf_iterator<char>(file), {});
  }
  static string Program() { return string(METAPERTURB_BIN_DIR) + "/metaperturb"; }

  int Run(const string& arguments) {
    const string command =
        "cd " + directory_ + " && " + Program() + " train " + arguments + " >log 2>&1";
    const int status = std::system(command.c_str());
    output_ = Read("log");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void ExpectError(const string& arguments, const vector<string>& parts) {
    EXPECT_EQ(Run(arguments), 1) << arguments;
    const size_t error = output_.find("ERROR: ");
    ASSERT_NE(error, string::npos) << output_;
    EXPECT_EQ(output_.find('\n', error), output_.size() - 1) << output_;
    for (const string& part : parts) EXPECT_NE(output_.find(part, error), string::npos) << output_;
  }

  string directory_;
  string output_;
};

TEST_F(MetaPerturbTrainTool, TrainsAndResumes) {
  ASSERT_EQ(Run("--solver=run.prototxt"), 0) << output_;
  EXPECT_NE(output_.find("Meta-iteration 3 ("), string::npos) << output_;
  EXPECT_NE(output_.find("Task 'b': train loss = "), string::npos) << output_;
  const string phi = Read("run_phi_iter_4.caffemodel"), state = Read("run_iter_4.metastate");
  ASSERT_FALSE(phi.empty() || state.empty());
  fs::remove(Path("run_iter_4.metastate"));
  ASSERT_EQ(Run("--solver=run.prototxt --snapshot=run_iter_2.metastate"), 0) << output_;
  EXPECT_TRUE(Read("run_phi_iter_4.caffemodel") == phi);
  EXPECT_TRUE(Read("run_iter_4.metastate") == state);
  ASSERT_EQ(Run("--solver=run.prototxt --iterations=1"), 0) << output_;
  EXPECT_TRUE(fs::exists(Path("run_iter_1.metastate")));
}

TEST_F(MetaPerturbTrainTool, Mistakes) {
  ExpectError("", {"--solver is missing"});
  ExpectError("--solver=missing.prototxt", {"missing.prototxt"});
  ExpectError("--solver=run.prototxt --snapshot=missing", {"missing"});
  ExpectError("--solver=run.prototxt --iterations=-1", {"--iterations=-1"});
  ExpectError("--solver=run.prototxt --task_threads=100000", {"--task_threads=100000: must be"});
  Write("run.prototxt", string(kRun) + "max_iters: 4");
  ExpectError("--solver=run.prototxt", {"run.prototxt:5:"});
  Write("run.prototxt", string(kRun) + "max_iter: 4 task { name: 'a' }");
  ExpectError("--solver=run.prototxt", {"run.prototxt: two tasks have the name 'a'"});
}

TEST_F(MetaPerturbTrainTool, SignalsTakeASnapshotAndEndTheRun) {
  Write("run.prototxt", string(kRun) + "max_iter: 100000000");
  for (const int signal : {SIGTERM, SIGINT}) {
    fs::remove(Path("log"));
    const pid_t child = fork();
    if (child == 0) {
      if (chdir(directory_.c_str()) != 0 || !freopen("log", "w", stderr)) _exit(2);
      execl(Program().c_str(), "metaperturb", "train", "--solver=run.prototxt", nullptr);
      _exit(3);
    }
    ASSERT_GT(child, 0);
    int status = 0;
    pid_t ended = 0;
    while (ended == 0 && Read("log").find("Meta-iteration 1 ") == string::npos) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      ended = waitpid(child, &status, WNOHANG);
    }
    ASSERT_EQ(ended, 0) << Read("log");
    kill(child, signal);
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << Read("log");
    int states = 0;
    for (const auto& entry : fs::directory_iterator(directory_)) {
      if (entry.path().extension() != ".metastate") continue;
      ++states;
      fs::remove(entry.path());
    }
    EXPECT_EQ(states, 1) << Read("log");
  }
}

}  // namespace
}  // namespace caffe

// Runs the program `caffe` as a user does.
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caffe/util/device.hpp"
#include "caffe/util/io.hpp"

namespace caffe {
namespace {

namespace fs = std::filesystem;

const char kNet[] = R"(name: "small"
layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 8 dim: 10 } shape { dim: 8 }
                     data_filler { type: "gaussian" } data_filler { value: 1 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "drop" type: "Dropout" bottom: "fc" top: "drop" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "drop" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy"
  include { phase: TEST } }
)";
const char kSolver[] =
    "net: 'net.prototxt' base_lr: 0.1 lr_policy: 'fixed' momentum: 0.9 random_seed: 3\n";

class CaffeTool : public ::testing::Test {
 protected:
  void SetUp() override {
    MakeTempDir(&directory_);
    Write("net.prototxt", kNet);
    Write("solver.prototxt", string(kSolver) + "max_iter: 4 snapshot: 2");
  }
  void TearDown() override { fs::remove_all(directory_); }

  void Write(const string& name, const string& text) const {
    std::ofstream(directory_ + "/" + name) << text;
  }
  bool Exists(const string& name) const { return fs::exists(directory_ + "/" + name); }
  string Read(const string& name) const {
    std::ifstream file(directory_ + "/" + name, std::ios::binary);
    return string(std::istreambuf_iterator<char>(file), {});
  }
  static string Program() { return string(METAPERTURB_BIN_DIR) + "/caffe"; }

  /// The exit code; what was printed goes to output_.
  int Run(const string& arguments) {
    const string command = "cd " + directory_ + " && " + Program() + " " + arguments + " >log 2>&1";
    const int status = std::system(command.c_str());
    output_ = Read("log");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  /// Expects exit code 1 and, as the last line, "ERROR: " with all `parts`.
  void ExpectError(const string& arguments, const vector<string>& parts) {
    EXPECT_EQ(Run(arguments), 1) << arguments;
    const size_t error = output_.find("ERROR: ");
    ASSERT_NE(error, string::npos) << output_;
    EXPECT_EQ(output_.find('\n', error), output_.size() - 1) << output_;
    for (const string& part : parts) {
      EXPECT_NE(output_.find(part, error), string::npos) << part << " is not in: " << output_;
    }
  }
  bool Printed(const string& pattern) const {
    return std::regex_search(output_, std::regex(pattern));
  }

  string directory_;
  string output_;
};

TEST_F(CaffeTool, TrainTestTime) {
  ASSERT_EQ(Run("train --solver=solver.prototxt"), 0) << output_;
  EXPECT_TRUE(Exists("solver_iter_2.caffemodel") && Exists("solver_iter_4.solverstate"));
  EXPECT_TRUE(Printed("Optimization Done\\.")) << output_;
  ASSERT_EQ(Run("test -model net.prototxt -weights solver_iter_4.caffemodel -iterations 2"), 0);
  EXPECT_TRUE(Printed("\\] Batch 1, accuracy = [0-9.]+\n")) << output_;
  EXPECT_TRUE(Printed("\\] accuracy = [0-9.]+\n")) << output_;
  EXPECT_TRUE(Printed("\\] loss = [0-9.e-]+ \\(\\* 1 = [0-9.e-]+ loss\\)\n")) << output_;
  ASSERT_EQ(Run("time -model net.prototxt -iterations 2"), 0);
  EXPECT_TRUE(Printed("        fc\tforward: [0-9.e-]+ ms\\.")) << output_;
  EXPECT_TRUE(Printed("Average Forward-Backward: [0-9.e-]+ ms\\.")) << output_;
  EXPECT_EQ(Run("device_query"), 0);
}

TEST_F(CaffeTool, LogIsReadByUpstreamsParser) {
  Write("solver.prototxt",
        string(kSolver) + "max_iter: 4 display: 2 test_iter: 1 test_interval: 2");
  ASSERT_EQ(Run("train --solver=solver.prototxt"), 0) << output_;
  // The expressions of Caffe's tools/extra/parse_log.py, and the time in front.
  const string time = "(^|\n)I\\d{4} \\d{2}:\\d{2}:\\d{2}\\.\\d+ +\\d+ \\S+\\] ";
  EXPECT_TRUE(Printed(time + "Solving small\n")) << output_;
  EXPECT_TRUE(Printed(time + "Learning Rate Policy: fixed\n"));
  EXPECT_TRUE(Printed(time + "Iteration 2 \\([0-9.e+]+ iter/s, [0-9.e+-]+s/2 iters\\), loss = "));
  EXPECT_TRUE(
      Printed("Train net output #(\\d+): (\\S+) = ([\\.\\deE+-]+) \\(\\* 1 = \\S+ loss\\)\n"));
  EXPECT_TRUE(Printed("Iteration 2, lr = ([-+]?[0-9]*\\.?[0-9]+([eE]?[-+]?[0-9]+)?)\n"));
  EXPECT_TRUE(Printed("Iteration 2, Testing net \\(#0\\)\n"));
  EXPECT_TRUE(Printed("Test net output #(\\d+): accuracy = ([\\.\\deE+-]+)\n"));
  EXPECT_TRUE(Printed("\\]     50% \\| [0-9.e+]+ images/s \\| [0-9]+ s left\n"));
  EXPECT_TRUE(Printed(time + "Snapshotting to binary proto file \\S+solver_iter_4.caffemodel\n") ||
              Printed(time + "Snapshotting to binary proto file solver_iter_4.caffemodel\n"));
}

TEST_F(CaffeTool, ResumedRunIsTheSame) {
  ASSERT_EQ(Run("train --solver=solver.prototxt"), 0);
  const string weights = Read("solver_iter_4.caffemodel");
  const string state = Read("solver_iter_4.solverstate");
  fs::remove(directory_ + "/solver_iter_4.caffemodel");
  ASSERT_EQ(Run("train --solver=solver.prototxt --snapshot=solver_iter_2.solverstate"), 0);
  EXPECT_TRUE(weights == Read("solver_iter_4.caffemodel"));
  EXPECT_TRUE(state == Read("solver_iter_4.solverstate"));
}

TEST_F(CaffeTool, WarnsOfWhatHasNoEffect) {
  ASSERT_EQ(Run("train --solver=solver.prototxt --iterations=9 --v=0"), 0) << output_;
  EXPECT_TRUE(Printed("W.*--iterations is not a flag of train and has no effect\n")) << output_;
  EXPECT_FALSE(Printed("--(v|solver) is not a flag"));
  ASSERT_EQ(Run("train --solver=solver.prototxt --snapshot=solver_iter_2.solverstate"), 0);
  EXPECT_FALSE(Printed("nothing is trained|is not a flag")) << output_;
  Write("solver.prototxt", string(kSolver) + "max_iter: 3");
  ASSERT_EQ(Run("train --solver=solver.prototxt --snapshot=solver_iter_4.solverstate"), 0);
  EXPECT_TRUE(Printed("W.*Iteration 4 is reached already and max_iter is 3")) << output_;
  EXPECT_FALSE(Printed("has no loss")) << output_;
  Write("net.prototxt", string(kNet).replace(string(kNet).find("SoftmaxWithLoss"), 15, "Accuracy"));
  ASSERT_EQ(Run("train --solver=solver.prototxt"), 0) << output_;
  EXPECT_TRUE(Printed("W.*net 'small' has no loss: nothing is learned")) << output_;
  EXPECT_FALSE(Printed("nothing is tested")) << output_;
  Write("solver.prototxt", string(kSolver) + "max_iter: 1 test_interval: 1");
  ASSERT_EQ(Run("train --solver=solver.prototxt"), 0) << output_;
  EXPECT_TRUE(Printed("W.*test_interval is set, but test_iter is not")) << output_;
}

TEST_F(CaffeTool, StartingWeightsPullAResumedRunToo) {
  ASSERT_EQ(Run("train --solver=solver.prototxt"), 0) << output_;
  fs::rename(directory_ + "/solver_iter_4.caffemodel", directory_ + "/start.caffemodel");
  Write("solver.prototxt", string(kSolver) +
                               "max_iter: 4 snapshot: 2 regularization_type: 'L2-SP' "
                               "l2_sp_decay: 0.5");
  ExpectError("train --solver=solver.prototxt", {"'L2-SP' needs the weights"});
  ASSERT_EQ(Run("train --solver=solver.prototxt --weights=start.caffemodel"), 0) << output_;
  const string weights = Read("solver_iter_4.caffemodel");
  const string resume = "train --solver=solver.prototxt --snapshot=solver_iter_2.solverstate";
  ExpectError(resume, {"'L2-SP' needs the weights"});
  ExpectError(resume + " --weights=no.caffemodel", {"no.caffemodel"});
  fs::remove(directory_ + "/solver_iter_4.caffemodel");
  ASSERT_EQ(Run(resume + " --weights=start.caffemodel"), 0) << output_;
  EXPECT_TRUE(weights == Read("solver_iter_4.caffemodel"));
  // The pull matters: without it the weights are others.
  ASSERT_EQ(Run("train --solver=solver.prototxt --weights=solver_iter_2.caffemodel"), 0);
  EXPECT_FALSE(weights == Read("solver_iter_4.caffemodel"));
}

TEST_F(CaffeTool, Arguments) {
  ExpectError("trian", {"unknown command 'trian' (did you mean 'train'?)"});
  ExpectError("train solver.prototxt",
              {"train: unexpected argument 'solver.prototxt'; flags are written --NAME=VALUE"});
  ExpectError("", {"no command; train, test, time or device_query"});
  ExpectError("train --solvr=x", {"unknown command line flag 'solvr'"});
  ExpectError("train", {"flag --solver is missing"});
  ExpectError("test --model=net.prototxt", {"flag --weights is missing"});
  string why_not;
  if (!Device::IsThere(&why_not)) {
    ExpectError("train --solver=solver.prototxt --gpu=0", {"--gpu=0: GPU mode: " + why_not});
    ExpectError("device_query --gpu=0", {"--gpu=0: GPU mode: " + why_not});
  }
  ExpectError("device_query --gpu=abc", {"--gpu=abc: 'abc' is no number of a GPU"});
  ExpectError("train --solver=solver.prototxt --snapshot=a --weights=b", {"cannot both be given"});
  ExpectError("train --solver=solver.prototxt --sigint_effect=x", {"--sigint_effect=x"});
  ExpectError("test --model=net.prototxt --weights=,", {"--weights=,: names no file"});
  ExpectError("train --solver=solver.prototxt --weights=,", {"weights is ',', which names no"});
  ExpectError("train --solver=solver.prototxt --log_dir=logs", {"--log_dir=logs: is no folder"});
  ExpectError("time --model=net.prototxt --phase=X", {"--phase=X"});
  ExpectError("time --model=net.prototxt --iterations=0", {"--iterations=0"});
  EXPECT_EQ(Run(""), 1);
}

TEST_F(CaffeTool, LogsAreFilesBesideTheTerminal) {
  fs::create_directory(directory_ + "/logs");
  ASSERT_EQ(Run("train --solver=solver.prototxt --log_dir=logs"), 0) << output_;
  EXPECT_TRUE(Printed("Optimization Done"));
  EXPECT_NE(Read("logs/caffe.INFO").find("Optimization Done"), string::npos);
}

TEST_F(CaffeTool, GpuModeInASolverFileIsAWarningWithoutAGpu) {
  string why_not;
  if (Device::IsThere(&why_not)) GTEST_SKIP() << "there is a GPU";
  Write("solver.prototxt", string(kSolver) + "max_iter: 1 solver_mode: GPU");
  EXPECT_EQ(Run("train --solver=solver.prototxt"), 0);
  EXPECT_TRUE(Printed("(^|\n)W.*solver_mode is GPU")) << output_;
}

TEST_F(CaffeTool, BadDefinitions) {
  const string train = "train --solver=solver.prototxt";
  ExpectError("train --solver=none.prototxt", {"none.prototxt"});
  Write("net.prototxt", string(kNet) + "layer {\n  nme: 'x' }\n");
  ExpectError(train, {"net.prototxt:12:6:", "nme"});
  Write("net.prototxt",
        string(kNet) + "layer { name: 'c' type: 'Convolutio' bottom: 'fc' top: 'c' }");
  ExpectError(train, {"net.prototxt", "layer 'c'", "Convolutio", "did you mean 'Convolution'?"});
  Write("net.prototxt", string(kNet) + "layer { name: 'r' type: 'ReLU' bottom: 'cf' top: 'r' }");
  ExpectError(train, {"net.prototxt", "layer 'r'", "cf"});
  fs::remove(directory_ + "/net.prototxt");
  ExpectError(train, {"solver.prototxt: net.prototxt"});
  Write("solver.prototxt", "net: 'net.prototxt'\nbase_lr 0.1\n");
  ExpectError(train, {"solver.prototxt:2:"});
}

TEST_F(CaffeTool, BadSnapshots) {
  ASSERT_EQ(Run("train --solver=solver.prototxt"), 0);
  const string resume = "train --solver=solver.prototxt --snapshot=";
  ExpectError(resume + "none.solverstate", {"none.solverstate"});
  const string state = Read("solver_iter_2.solverstate");
  Write("cut.solverstate", state.substr(0, state.size() - 7));
  ExpectError(resume + "cut.solverstate", {"cut.solverstate"});
  const string weights = Read("solver_iter_2.caffemodel");
  Write("solver_iter_2.caffemodel", weights.substr(0, weights.size() / 2));
  ExpectError(resume + "solver_iter_2.solverstate", {"solver_iter_2.caffemodel"});
  ExpectError("train --solver=solver.prototxt --weights=solver_iter_2.caffemodel",
              {"solver_iter_2.caffemodel"});
  ExpectError("test --model=net.prototxt --weights=solver_iter_2.caffemodel",
              {"solver_iter_2.caffemodel"});
  ExpectError("test --model=net.prototxt --weights=none.caffemodel", {"none.caffemodel"});
}

TEST_F(CaffeTool, LossThatIsNotFinite) {
  Write("solver.prototxt", "net: 'net.prototxt' base_lr: 1e38 lr_policy: 'fixed' max_iter: 100");
  EXPECT_EQ(Run("train --solver=solver.prototxt"), 1);
  EXPECT_TRUE(Printed("ERROR: iteration [0-9]+: loss is ")) << output_;
}

TEST_F(CaffeTool, SignalsTakeASnapshotAndEndCleanly) {
  Write("solver.prototxt", string(kSolver) + "max_iter: 1000000000");
  for (const int signal : {SIGTERM, SIGINT}) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      if (chdir(directory_.c_str()) != 0 || !std::freopen("log", "w", stderr)) _exit(99);
      execl(Program().c_str(), "caffe", "train", "--solver=solver.prototxt", nullptr);
      _exit(98);
    }
    // The handlers are in place when this line is there.
    for (int i = 0; i < 3000 && Read("log").find("Starting Optimization") == string::npos; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    kill(child, signal);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status << Read("log");
    std::smatch match;
    const string log = Read("log");
    ASSERT_TRUE(std::regex_search(log, match, std::regex("state to binary proto file (\\S+)\n")))
        << log;
    SolverState state;
    ReadProtoFromBinaryFile(directory_ + "/" + match[1].str(), &state);
    EXPECT_TRUE(Exists(state.learned_net()));
    EXPECT_NE(log.find("Optimization stopped early."), string::npos) << log;
    fs::remove(directory_ + "/log");
  }
}

// As with `caffe train 2>&1 | tee log` and Ctrl-C, which ends tee first.
TEST_F(CaffeTool, AReaderOfTheLogThatEndsTakesASnapshot) {
  Write("solver.prototxt", string(kSolver) + "max_iter: 1000000000 snapshot_prefix: 'piped'");
  const string command = "cd " + directory_ + " && timeout 120 bash -c '" + Program() +
                         " train --solver=solver.prototxt 2>&1 | sed \"/Starting Opt/q\" >log'";
  ASSERT_EQ(0, std::system(command.c_str()));
  int models = 0, states = 0;
  for (const auto& entry : fs::directory_iterator(directory_)) {
    models += entry.path().extension() == ".caffemodel";
    states += entry.path().extension() == ".solverstate";
  }
  EXPECT_GT(models, 0);
  EXPECT_EQ(models, states);
}

TEST_F(CaffeTool, TestNetThatDoesNotFitIsFoundFirst) {
  string other = Read("net.prototxt");
  const size_t at = other.find("num_output: ");
  ASSERT_NE(at, string::npos);
  other.insert(at + 12, "1");
  Write("other.prototxt", other);
  Write("solver.prototxt",
        "train_net: 'net.prototxt' test_net: 'other.prototxt' test_iter: 1 test_interval: 100"
        " test_initialization: false base_lr: 0.01 lr_policy: 'fixed' max_iter: 200");
  ExpectError("train --solver=solver.prototxt", {"other.prototxt: ", "cannot be shared"});
  EXPECT_FALSE(Printed("Starting Optimization"));
}

// What is opened where a standard stream is closed must not get its number.
TEST_F(CaffeTool, ClosedStandardStreams) {
  Write("solver.prototxt", string(kSolver) + "max_iter: 2 snapshot_prefix: 'closed'");
  const string command =
      "cd " + directory_ + " && " + Program() + " train --solver=solver.prototxt <&- >&- 2>&-";
  EXPECT_EQ(std::system(command.c_str()), 0);
  NetParameter net;
  ReadProtoFromBinaryFile(directory_ + "/closed_iter_2.caffemodel", &net);
  EXPECT_GT(net.layer_size(), 0);
}

}  // namespace
}  // namespace caffe

// Runs that are killed with SIGKILL at random moments, snapshots included, and continued with
// --snapshot=latest, end bitwise equal to runs that were never stopped.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>

#include "testing/data_util.hpp"

namespace caffe {
namespace {

namespace fs = std::filesystem;

// Dropout and noise, so that a random stream that is not continued shows.
const char kLayers[] = R"(
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }
layer { name: "mp" type: "MetaPerturb" bottom: "bn" top: "mp" param { name: "phi" }
  metaperturb_param { anneal_iter: 20 } }
layer { name: "drop" type: "Dropout" bottom: "mp" top: "drop" }
layer { name: "fc" type: "InnerProduct" bottom: "drop" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
)";

class KillAndResume : public testing::TempDirTest {
 protected:
  void SetUp() override {
    vector<Datum> datums;
    for (int i = 0; i < 23; ++i) datums.push_back(testing::ByteDatum(2, 10, 10, i % 3, 7 * i));
    testing::WriteDatums(Path("db"), datums);
    Write("net.prototxt",
          string("layer { name: 'data' type: 'Data' top: 'data' top: 'label' transform_param {"
                 " mirror: true crop_size: 8 scale: 0.01 } data_param { source: 'db' batch_size: 4"
                 " backend: LMDB } }") +
              kLayers);
  }

  pid_t Start(const vector<string>& words) const {
    const pid_t child = fork();
    if (child != 0) return child;
    const int log = open(Path("log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    vector<char*> arguments;
    for (const string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    if (chdir(directory_.c_str()) == 0) execv(arguments[0], arguments.data());
    _exit(127);
  }

  // Starts the tool again and again, each time killed after a random while, until one is through.
  // The number of kills; -1 if the tool failed.
  int RunWithKills(const vector<string>& words, unsigned int seed, int most_kills) const {
    std::mt19937 random(seed);
    for (int kills = 0;; ++kills) {
      const pid_t child = Start(words);
      // From a start that has not read anything yet to some twenty snapshots.
      if (kills < most_kills) {
        usleep(20000 + random() % 400000);
        kill(child, SIGKILL);
      }
      int status = 0;
      waitpid(child, &status, 0);
      if (WIFEXITED(status)) return WEXITSTATUS(status) == 0 ? kills : -1;
    }
  }

  // `run` is given a prefix for its snapshots and the flags, and says how the tool is called.
  template <class Words>
  void Compare(const Words& words, const string& final_files) {
    const int status = RunWithKills(words("whole", ""), 0, 0);
    ASSERT_EQ(0, status) << Read("log");
    int kills = 0;
    for (unsigned int seed = 1; seed <= 2; ++seed) {
      const string prefix = "killed" + std::to_string(seed);
      const int count = RunWithKills(words(prefix, "--snapshot=latest"), seed, 10);
      ASSERT_GE(count, 0) << Read("log");
      kills += count;
      std::istringstream names(final_files);
      for (string name; names >> name;) {
        EXPECT_FALSE(Read("whole" + name).empty());
        EXPECT_TRUE(Read("whole" + name) == Read(prefix + name)) << name << ", seed " << seed;
      }
    }
    RecordProperty("kills", kills);
    EXPECT_GE(kills, 6) << "the runs are over before they can be killed";
  }
};

TEST_F(KillAndResume, CaffeTrain) {
  const auto words = [this](const string& prefix, const string& flag) {
    Write(
        prefix + ".prototxt",
        "net: 'net.prototxt' type: 'Adam' base_lr: 0.01 lr_policy: 'step' stepsize: 100 gamma: 0.5"
        " momentum: 0.9 max_iter: 400 snapshot: 1 random_seed: 5 snapshot_prefix: '" +
            prefix + "'");
    vector<string> all = {METAPERTURB_BIN_DIR "/caffe", "train", "--solver=" + prefix + ".prototxt",
                          "--snapshot_keep=3"};
    if (!flag.empty()) all.push_back(flag);
    return all;
  };
  Compare(words, "_iter_400.caffemodel");
  // Kept are the newest three, of both files.
  int files = 0;
  for (const auto& entry : fs::directory_iterator(directory_)) {
    files += entry.path().filename().string().find("whole_iter_") == 0;
  }
  EXPECT_EQ(6, files);
}

TEST_F(KillAndResume, MetaPerturbTrain) {
  const auto words = [this](const string& prefix, const string& flag) {
    Write(
        prefix + ".prototxt",
        "net: 'net.prototxt' random_seed: 3 task { name: 'a' train_source: 'db' val_source: 'db' }"
        " task { name: 'b' train_source: 'db' val_source: 'db' batch_size: 3 }"
        " theta { base_lr: 0.01 lr_policy: 'fixed' momentum: 0.9 }"
        " phi { base_lr: 0.01 lr_policy: 'fixed' type: 'Adam' momentum: 0.9 }"
        " display: 1 average_loss: 3 max_iter: 200 snapshot: 1 snapshot_keep: 2 csv: '" +
            prefix + ".csv' snapshot_prefix: '" + prefix + "'");
    vector<string> all = {METAPERTURB_BIN_DIR "/metaperturb", "train",
                          "--solver=" + prefix + ".prototxt"};
    if (!flag.empty()) all.push_back(flag);
    return all;
  };
  Compare(words, "_iter_200.metastate _phi_iter_200.caffemodel .csv");
  EXPECT_TRUE(Exists("whole_iter_199.metastate"));
  EXPECT_FALSE(Exists("whole_iter_198.metastate"));
}

TEST_F(KillAndResume, ADamagedNewestSnapshotIsNamedAndTheOneBeforeUsed) {
  Write(
      "solver.prototxt",
      "net: 'net.prototxt' base_lr: 0.01 lr_policy: 'fixed' max_iter: 3 snapshot: 1 random_seed: 5"
      " snapshot_prefix: 'run'");
  const string train = "train --solver=solver.prototxt --snapshot=latest";
  ASSERT_EQ(0, Run("caffe", train)) << output_;
  EXPECT_NE(string::npos, output_.find("run: no snapshot yet, starting from the beginning"));
  const string end = Read("run_iter_3.caffemodel");
  testing::Overwrite(Path("run_iter_3.solverstate"), 100, "xxxx");
  testing::Overwrite(Path("run_iter_2.caffemodel"), 200, "xxxx");
  ASSERT_EQ(0, Run("caffe", train)) << output_;
  for (const char* part : {"run_iter_3.solverstate: is ", "run_iter_2.caffemodel: is damaged",
                           "Resuming from run_iter_1.solverstate"}) {
    EXPECT_NE(string::npos, output_.find(part)) << part << " is not in: " << output_;
  }
  EXPECT_TRUE(end == Read("run_iter_3.caffemodel"));
  // Cut off between two fields, a file can still be read.
  SolverState cut;
  ReadProtoFromBinaryFile(Path("run_iter_3.solverstate"), &cut);
  cut.clear_run_state();
  cut.clear_current_step();
  for (const string& bytes : {string(), cut.SerializeAsString()}) {
    Write("run_iter_3.solverstate", bytes);
    ASSERT_EQ(0, Run("caffe", train)) << output_;
    EXPECT_NE(string::npos, output_.find("run_iter_3.solverstate: is cut off")) << output_;
    EXPECT_NE(string::npos, output_.find("Resuming from run_iter_2.solverstate")) << output_;
    EXPECT_TRUE(end == Read("run_iter_3.caffemodel"));
  }

  Write("meta.prototxt",
        "net: 'net.prototxt' random_seed: 3 task { name: 'a' train_source: 'db' val_source: 'db' }"
        " theta { base_lr: 0.01 lr_policy: 'fixed' } phi { base_lr: 0.01 lr_policy: 'fixed' }"
        " max_iter: 2 snapshot: 1");
  const string meta_train = "train --solver=meta.prototxt --snapshot=latest";
  ASSERT_EQ(0, Run("metaperturb", meta_train)) << output_;
  fs::resize_file(Path("meta_iter_2.metastate"), 1000);
  ASSERT_EQ(0, Run("metaperturb", meta_train)) << output_;
  for (const char* part : {"meta_iter_2.metastate: is ", "Continuing from meta_iter_1.metastate"}) {
    EXPECT_NE(string::npos, output_.find(part)) << part << " is not in: " << output_;
  }
  testing::Overwrite(Path("meta_iter_1.metastate"), 100, "xxxx");
  testing::Overwrite(Path("meta_iter_2.metastate"), 100, "xxxx");
  ExpectToolError("metaperturb", meta_train, {"meta: none of its 2 snapshot(s) can be used"});
}

}  // namespace
}  // namespace caffe

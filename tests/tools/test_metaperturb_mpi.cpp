// `metaperturb train` under mpirun.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <random>
#include <thread>

#include "caffe/util/device.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

namespace fs = std::filesystem;

const char kLayers[] = R"(
layer { name: "data" type: "Data" top: "data" top: "label"
  transform_param { mirror: true crop_size: 8 scale: 0.01 }
  data_param { source: "db" batch_size: 4 backend: LMDB } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }
layer { name: "mp" type: "MetaPerturb" bottom: "bn" top: "mp" param { name: "phi" } }
layer { name: "drop" type: "Dropout" bottom: "mp" top: "drop" }
layer { name: "fc" type: "InnerProduct" bottom: "drop" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
)";

#ifdef METAPERTURB_MPIEXEC
const char kMpiExec[] = METAPERTURB_MPIEXEC;
#else
const char kMpiExec[] = "";  // this build has no MPI
#endif

vector<pid_t> ChildrenOf(pid_t parent) {
  vector<pid_t> children;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "stat");
    pid_t child = 0, its_parent = 0;
    string name, state;
    if (file >> child >> name >> state >> its_parent && its_parent == parent) {
      children.push_back(child);
    }
  }
  std::sort(children.begin(), children.end());
  return children;
}

class MetaPerturbMpi : public testing::TempDirTest {
 protected:
  void SetUp() override {
    if (!*kMpiExec) GTEST_SKIP() << "this build has no MPI";
    // Root runs this in containers; more processes than CPUs.
    for (const char* name : {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM",
                             "OMPI_MCA_rmaps_base_oversubscribe"}) {
      setenv(name, "1", 1);
    }
    setenv("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe", 1);  // Open MPI 5
    setenv("OMPI_MCA_plm", "isolated", 1);                                 // no ssh
    // In a build with sanitizers: Open MPI itself leaves memory behind.
    setenv("ASAN_OPTIONS", "detect_leaks=0", 0);
    vector<Datum> datums;
    for (int i = 0; i < 23; ++i) datums.push_back(testing::ByteDatum(2, 10, 10, i % 3, 7 * i));
    testing::WriteDatums(Path("db"), datums);
    Write("net.prototxt", kLayers);
    string run = "net: 'net.prototxt' random_seed: 3 display: 10 snapshot: 20 max_iter: 100 ";
    for (const char* name : {"a", "b", "c", "d", "e"}) {
      run += string("task { name: '") + name + "' train_source: 'db' val_source: 'db' ";
      run += *name == 'c' ? "batch_size: 9 } " : "} ";
    }
    run += "theta { base_lr: 0.01 lr_policy: 'fixed' type: 'Adam' momentum: 0.9 } ";
    run += "phi { base_lr: 0.01 lr_policy: 'fixed' type: 'Adam' momentum: 0.9 } ";
    Write("run.prototxt", run);
  }

  // `processes` = 0: without mpirun.
  string Command(int processes, const string& prefix, const string& more) {
    Write(prefix + ".prototxt",
          Read("run.prototxt") + "snapshot_prefix: '" + prefix + "' csv: '" + prefix + ".csv' ");
    string command = "cd " + directory_ + " && exec ";
    if (processes > 0) command += string(kMpiExec) + " -np " + std::to_string(processes) + " ";
    return command + METAPERTURB_BIN_DIR +
           "/metaperturb train --task_threads=1 --solver=" + prefix + ".prototxt " + more +
           " >log 2>&1";
  }
  int Run(int processes, const string& prefix, const string& more = "") {
    const int status = std::system(Command(processes, prefix, more).c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void ExpectSame(const string& prefix, const string& expected, const string& iter = "100") {
    for (const string& name :
         {"_iter_" + iter + ".metastate", "_phi_iter_" + iter + ".caffemodel", string(".csv")}) {
      EXPECT_FALSE(Read(expected + name).empty()) << name;
      EXPECT_TRUE(Read(prefix + name) == Read(expected + name)) << prefix << name;
    }
  }
  int Count(const string& what) {
    const string log = Read("log");
    int count = 0;
    for (size_t at = log.find(what); at != string::npos; at = log.find(what, at + 1)) ++count;
    return count;
  }
};

TEST_F(MetaPerturbMpi, AnyNumberOfProcessesIsBitwiseTheSame) {
  ASSERT_EQ(Run(0, "alone"), 0) << Read("log");
  for (const int processes : {1, 2, 4}) {
    const string prefix = "np" + std::to_string(processes);
    ASSERT_EQ(Run(processes, prefix), 0) << Read("log");
    ExpectSame(prefix, "alone");
    EXPECT_EQ(Count("Optimization Done."), 1) << Read("log");
    EXPECT_EQ(Count(std::to_string(processes) + " process(es)"), 1) << Read("log");
  }
}

TEST_F(MetaPerturbMpi, ADeadProcessEndsTheRunWhichGoesOnWithOtherNumbers) {
  string run = Read("run.prototxt");  // long enough to be killed in
  Write("run.prototxt", run.replace(run.find("max_iter: 100"), 13, "max_iter: 1500"));
  ASSERT_EQ(Run(0, "alone"), 0) << Read("log");
  std::mt19937 random(1);
  int killed = 0;
  for (int round = 0;; ++round) {
    ASSERT_LT(round, 50) << Read("log");
    const int processes = 2 + round % 3;
    const string command = Command(processes, "killed", "--snapshot=latest");
    const pid_t child = fork();
    if (child == 0) {
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
    bool kill_one = killed < 6;
    int status = 0;
    pid_t ended = 0;
    // Once it runs, one of mpirun's children, by turns the first, the second, ...
    while (kill_one && (ended = waitpid(child, &status, WNOHANG)) == 0) {
      usleep(5000);
      if (Read("log").find("Starting Optimization") == string::npos) continue;
      usleep(random() % 60000);
      const vector<pid_t> ranks = ChildrenOf(child);
      if (ranks.empty()) continue;
      kill(ranks[round % ranks.size()], SIGKILL);
      kill_one = false;
    }
    if (ended == 0) ended = waitpid(child, &status, 0);
    ASSERT_EQ(ended, child);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 0) break;
    ++killed;
    EXPECT_EQ(Count("signal 9 (Killed)"), 1) << Read("log");
  }
  EXPECT_GE(killed, 3);
  RecordProperty("killed", killed);
  ExpectSame("killed", "alone", "1500");
}

TEST_F(MetaPerturbMpi, AMistakeIsToldOnce) {
  Write("run.prototxt",
        Read("run.prototxt") + "task { name: 'f' train_source: 'db' val_source: 'missing' } ");
  for (const int processes : {2, 4}) {
    EXPECT_EQ(Run(processes, "bad"), 1) << Read("log");
    EXPECT_EQ(Count("ERROR: "), 1) << Read("log");
    EXPECT_NE(Read("log").find("ERROR: bad.prototxt: task 'f': net.prototxt: "), string::npos)
        << Read("log");
  }
  EXPECT_EQ(Run(2, "bad", "--snapshot=nowhere"), 1) << Read("log");
  EXPECT_EQ(Count("ERROR: nowhere"), 1) << Read("log");
}

class MetaPerturbMpiGpu : public MetaPerturbMpi {
 protected:
  void SetUp() override {
    string why_not;
    if (!Device::IsThere(&why_not)) GTEST_SKIP() << why_not;
    if (Device::Get().Count() < 2) GTEST_SKIP() << "there is one GPU";
    MetaPerturbMpi::SetUp();
    if (IsSkipped()) return;
    string run = Read("run.prototxt");
    Write("run.prototxt", run.replace(run.find("max_iter: 100"), 13, "max_iter: 8"));
  }
};

TEST_F(MetaPerturbMpiGpu, EachProcessHasAGpuOfItsOwn) {
  ASSERT_EQ(Run(0, "alone", "--gpu=1"), 0) << Read("log");
  ASSERT_EQ(Run(2, "two", "--gpu=1,0"), 0) << Read("log");
  EXPECT_EQ(Count("GPUs of the processes: 1, 0"), 1) << Read("log");
  ExpectSame("two", "alone", "8");
  // More processes than GPUs share them.
  ASSERT_EQ(Run(3, "three", "--gpu=0,1"), 0) << Read("log");
  EXPECT_EQ(Count("GPUs of the processes: 0, 1, 0"), 1) << Read("log");
  ExpectSame("three", "alone", "8");
}

TEST_F(MetaPerturbMpiGpu, AGpuWithoutAProcessIsAMistake) {
  EXPECT_EQ(Run(1, "bad", "--gpu=0,1"), 1) << Read("log");
  EXPECT_EQ(Count("ERROR: --gpu=0,1: names 2 GPUs; 1 process(es) here use one each"), 1)
      << Read("log");
}

}  // namespace
}  // namespace caffe

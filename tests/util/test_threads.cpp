#include "util/threads.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <regex>
#include <thread>

#include "testing/data_util.hpp"

namespace caffe {
namespace {

cpu_set_t Affinity() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  EXPECT_EQ(0, sched_getaffinity(0, sizeof cpus, &cpus));
  return cpus;
}

/// Binds the thread, and the programs that it starts, to the first CPU of its mask.
void BindToOne() {
  cpu_set_t cpus = Affinity(), one;
  CPU_ZERO(&one);
  int first = 0;
  while (!CPU_ISSET(first, &cpus)) ++first;
  CPU_SET(first, &one);
  ASSERT_EQ(0, sched_setaffinity(0, sizeof one, &one));
}

TEST(Threads, AvailableCpusAreAtMostTheMachines) {
  EXPECT_GE(AvailableCpus(), 1);
  EXPECT_LE(AvailableCpus(), sysconf(_SC_NPROCESSORS_CONF));
}

TEST(Threads, UnbindThreadGivesABoundThreadTheProcesssCpus) {
  cpu_set_t before, bound, after;
  std::thread([&] {
    UnbindThread();
    before = Affinity();
    BindToOne();
    bound = Affinity();
    UnbindThread();
    after = Affinity();
  }).join();
  EXPECT_EQ(1, CPU_COUNT(&bound));
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

/// What libgomp reads from the environment each time that a tool starts.
class ConfigureThreadsTest : public testing::TempDirTest {
 protected:
  ConfigureThreadsTest() {
    for (const char* name :
         {"OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_WAIT_POLICY", "METAPERTURB_CPUS"}) {
      const char* value = std::getenv(name);
      if (value) saved_[name] = value;
      unsetenv(name);
    }
    setenv("OMP_DISPLAY_ENV", "true", 1);
  }
  ~ConfigureThreadsTest() override {
    unsetenv("OMP_DISPLAY_ENV");
    unsetenv("OMP_NUM_THREADS");
    for (const auto& [name, value] : saved_) setenv(name.c_str(), value.c_str(), 1);
  }
  /// The values of an OpenMP setting, start by start.
  vector<string> Starts(const string& setting) {
    vector<string> values;
    const std::regex pattern(setting + " = '([^']*)'");
    for (std::sregex_iterator i(output_.begin(), output_.end(), pattern), end; i != end; ++i) {
      values.push_back((*i)[1]);
    }
    return values;
  }
  std::map<string, string> saved_;
};

TEST_F(ConfigureThreadsTest, StartsTheProgramAnewOnceWithItsArguments) {
  EXPECT_EQ(0, Run("caffe", "device_query")) << output_;
  const vector<string> threads = Starts("OMP_NUM_THREADS");
  ASSERT_EQ(2u, threads.size()) << output_;
  // The tool has the CPUs of this thread, at most the process's.
  EXPECT_GE(std::stoi(threads[1]), 1);
  EXPECT_LE(std::stoi(threads[1]), AvailableCpus());
  EXPECT_EQ("PASSIVE", Starts("OMP_WAIT_POLICY")[1]);
  EXPECT_EQ(1, Run("caffe", "no_such_command"));
  EXPECT_NE(string::npos, output_.find("no_such_command")) << output_;
}

TEST_F(ConfigureThreadsTest, UsesNoMoreCpusThanTheAffinityMaskHas) {
  std::thread([this] {
    BindToOne();
    Run("caffe", "device_query");
  }).join();
  const vector<string> threads = Starts("OMP_NUM_THREADS");
  ASSERT_EQ(2u, threads.size()) << output_;
  EXPECT_EQ("1", threads[1]);
}

TEST_F(ConfigureThreadsTest, KeepsTheUsersSettings) {
  setenv("OMP_NUM_THREADS", "3", 1);
  setenv("OMP_WAIT_POLICY", "active", 1);
  Run("caffe", "device_query");
  unsetenv("OMP_WAIT_POLICY");
  const vector<string> threads = Starts("OMP_NUM_THREADS");
  ASSERT_EQ(2u, threads.size()) << output_;
  EXPECT_EQ("3", threads[1]);
  EXPECT_EQ("ACTIVE", Starts("OMP_WAIT_POLICY")[1]);
}

}  // namespace
}  // namespace caffe

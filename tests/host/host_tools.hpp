// Running tools of the host, and of our own framework, as a user does.

#ifndef METAPERTURB_TESTS_HOST_HOST_TOOLS_HPP_
#define METAPERTURB_TESTS_HOST_HOST_TOOLS_HPP_

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace host_tools {

using std::string;

struct Outcome {
  int code;
  string text;
};

inline Outcome RunShell(const string& command) {
  Outcome outcome = {-1, ""};
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (!pipe) return outcome;
  char part[4096];
  for (size_t n; (n = fread(part, 1, sizeof part, pipe)) > 0;) outcome.text.append(part, n);
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

/// A temporary folder, and the host's `caffe` with the plugin preloaded; skips where there is none.
class HostToolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* place : {"/build/tools/caffe", "/.build_release/tools/caffe", "/bin/caffe"}) {
      if (std::filesystem::exists(METAPERTURB_HOST + string(place))) {
        tool_ = METAPERTURB_HOST + string(place);
      }
    }
    if (tool_.empty()) GTEST_SKIP() << METAPERTURB_HOST << " has no caffe tool";
    char name[] = "/tmp/host_tools_XXXXXX";
    ASSERT_TRUE(mkdtemp(name));
    folder_ = name;
  }
  ~HostToolTest() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  void Write(const string& name, const string& text) {
    std::ofstream(folder_ + "/" + name) << text;
  }
  Outcome Tool(const string& arguments) {
    return RunShell("LD_PRELOAD=" METAPERTURB_PLUGIN " " + tool_ + " " + arguments);
  }

  string tool_, folder_;
};

}  // namespace host_tools

#endif  // METAPERTURB_TESTS_HOST_HOST_TOOLS_HPP_

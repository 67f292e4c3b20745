#include "util/flag_help.hpp"

#include <gflags/gflags.h>

#include <algorithm>
#include <filesystem>
#include <set>

namespace caffe {

using std::string;
using std::vector;

bool IsHelpAsked(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const string argument = argv[i];
    if (argument == "--") return false;
    if (argument == "--help" || argument == "-help" || argument == "--helpshort" ||
        argument == "-helpshort") {
      return true;
    }
  }
  return false;
}

vector<string> OwnFlags() {
  // The sources of gflags and glog that define flags.
  static const std::set<string> kLibraries = {
      "gflags.cc",  "gflags_completions.cc", "gflags_reporting.cc", "flags.cc",
      "logging.cc", "utilities.cc",          "vlog_is_on.cc"};
  vector<gflags::CommandLineFlagInfo> all;
  gflags::GetAllFlags(&all);
  vector<string> own;
  for (const gflags::CommandLineFlagInfo& flag : all) {
    const string file = std::filesystem::path(flag.filename).filename().string();
    if (!kLibraries.count(file)) own.push_back(flag.name);
  }
  std::sort(own.begin(), own.end());
  return own;
}

void PrintFlags(std::ostream& out, const vector<string>& names) {
  for (const string& name : names) {
    const gflags::CommandLineFlagInfo flag = gflags::GetCommandLineFlagInfoOrDie(name.c_str());
    out << "  --" << name << "=" << flag.default_value << "\n      " << flag.description << "\n";
  }
}

}  // namespace caffe

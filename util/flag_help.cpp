#include "util/flag_help.hpp"

#include <gflags/gflags.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>

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

namespace {

// gflags writes 0.1 as 0.10000000000000001.
string DefaultOf(const gflags::CommandLineFlagInfo& flag) {
  if (flag.type != "double") return flag.default_value;
  std::ostringstream text;
  text << std::stod(flag.default_value);
  return text.str();
}

}  // namespace

void PrintFlags(std::ostream& out, const vector<CommandFlag>& flags) {
  for (const CommandFlag& own : flags) {
    const auto flag = gflags::GetCommandLineFlagInfoOrDie(own.name.c_str());
    out << "  --" << own.name << "=" << DefaultOf(flag) << "\n      "
        << (own.description.empty() ? flag.description : own.description) << "\n";
  }
}

vector<string> GivenBeside(const vector<CommandFlag>& flags) {
  vector<string> beside;
  for (const string& name : OwnFlags()) {
    const bool known = std::any_of(flags.begin(), flags.end(),
                                   [&](const CommandFlag& flag) { return flag.name == name; });
    if (!known && !gflags::GetCommandLineFlagInfoOrDie(name.c_str()).is_default) {
      beside.push_back(name);
    }
  }
  return beside;
}

}  // namespace caffe

#include "util/flag_help.hpp"

#include <gflags/gflags.h>

#include <algorithm>

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
  vector<gflags::CommandLineFlagInfo> all;
  gflags::GetAllFlags(&all);
  vector<string> own;
  for (const gflags::CommandLineFlagInfo& flag : all) {
    // The sources of both libraries end in .cc, ours in .cpp.
    const string& file = flag.filename;
    const bool foreign = file.size() > 3 && file.compare(file.size() - 3, 3, ".cc") == 0;
    if (!foreign) own.push_back(flag.name);
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

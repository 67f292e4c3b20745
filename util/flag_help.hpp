#ifndef METAPERTURB_UTIL_FLAG_HELP_HPP_
#define METAPERTURB_UTIL_FLAG_HELP_HPP_

#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace caffe {

/// Whether --help or --helpshort is among the arguments of a program.
bool IsHelpAsked(int argc, char** argv);

/// The gflags that the program defines itself, sorted; not those of gflags and glog, which
/// --helpfull shows.
std::vector<std::string> OwnFlags();

/// A flag as one command of a program understands it.
struct CommandFlag {
  CommandFlag(const char* flag, const char* text = "") : name(flag), description(text) {}
  CommandFlag(std::string flag) : name(std::move(flag)) {}
  std::string name;
  std::string description;  ///< empty: that of the flag's definition
};

/// "  --name=DEFAULT", and below it the description, for each of the flags.
void PrintFlags(std::ostream& out, const std::vector<CommandFlag>& flags);

/// Those of OwnFlags that were given on the command line and are not among `flags`.
std::vector<std::string> GivenBeside(const std::vector<CommandFlag>& flags);

}  // namespace caffe

#endif  // METAPERTURB_UTIL_FLAG_HELP_HPP_

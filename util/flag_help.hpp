#ifndef METAPERTURB_UTIL_FLAG_HELP_HPP_
#define METAPERTURB_UTIL_FLAG_HELP_HPP_

#include <ostream>
#include <string>
#include <vector>

namespace caffe {

/// Whether --help or --helpshort is among the arguments of a program.
bool IsHelpAsked(int argc, char** argv);

/// The gflags that the program defines itself, sorted; not those of gflags and glog, which
/// --helpfull shows.
std::vector<std::string> OwnFlags();

/// "  --name=DEFAULT", and below it the description, for each of the flags.
void PrintFlags(std::ostream& out, const std::vector<std::string>& names);

}  // namespace caffe

#endif  // METAPERTURB_UTIL_FLAG_HELP_HPP_

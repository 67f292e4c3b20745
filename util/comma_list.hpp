#ifndef METAPERTURB_UTIL_COMMA_LIST_HPP_
#define METAPERTURB_UTIL_COMMA_LIST_HPP_

#include <sstream>
#include <string>
#include <vector>

namespace caffe {

/// The parts of "a, b,c" without the spaces around them; empty ones are left out.
inline std::vector<std::string> SplitAtCommas(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream stream(list);
  for (std::string part; std::getline(stream >> std::ws, part, ',');) {
    part.erase(part.find_last_not_of(" \t") + 1);
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

}  // namespace caffe

#endif  // METAPERTURB_UTIL_COMMA_LIST_HPP_

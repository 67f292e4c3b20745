#ifndef METAPERTURB_UTIL_PATH_EXISTS_HPP_
#define METAPERTURB_UTIL_PATH_EXISTS_HPP_

#include <filesystem>
#include <string>

#include "util/error.hpp"

namespace caffe {

/// Whether a file or folder is there. Throws Error where that cannot be told, such as below a
/// folder that may not be read, or by a name that is too long.
inline bool PathExists(const std::string& path) {
  std::error_code error;
  const bool exists = std::filesystem::exists(path, error);
  ENFORCE(!error) << path << ": cannot be read: " << error.message();
  return exists;
}

}  // namespace caffe

#endif  // METAPERTURB_UTIL_PATH_EXISTS_HPP_

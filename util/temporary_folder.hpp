#ifndef METAPERTURB_UTIL_TEMPORARY_FOLDER_HPP_
#define METAPERTURB_UTIL_TEMPORARY_FOLDER_HPP_

#include <filesystem>

#include "util/error.hpp"

namespace caffe {

/// Where temporary files go: $TMPDIR, else /tmp. Throws Error where there is no such folder.
inline std::filesystem::path TemporaryFolder() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  ENFORCE(!error) << "there is no folder for temporary files ($TMPDIR, else /tmp): "
                  << error.message();
  return folder;
}

}  // namespace caffe

#endif  // METAPERTURB_UTIL_TEMPORARY_FOLDER_HPP_

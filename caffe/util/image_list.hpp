#ifndef CAFFE_UTIL_IMAGE_LIST_HPP_
#define CAFFE_UTIL_IMAGE_LIST_HPP_

#include <string>
#include <vector>

namespace caffe {

/// A line "path label" of a list of images.
struct ListedImage {
  std::string path;
  int label;
  int line;  // from 1
};

/// Reads such a list. Paths may hold spaces; empty lines are skipped; a line that is otherwise
/// wrong is a caffe::Error with its number.
std::vector<ListedImage> ReadImageList(const std::string& file);

}  // namespace caffe

#endif  // CAFFE_UTIL_IMAGE_LIST_HPP_

#ifndef METAPERTURB_TOOLS_COMMON_IDX_FILE_HPP_
#define METAPERTURB_TOOLS_COMMON_IDX_FILE_HPP_

#include <string>
#include <vector>

#include "caffe/proto/caffe.pb.h"

namespace metaperturb {

/// A file in the IDX format of MNIST: bytes with one or several axes.
struct IdxFile {
  /// Takes a file's content; caffe::Error that names it where it has not that number of axes or is
  /// truncated.
  IdxFile(const std::string& name, std::string content, int axes);

  std::string bytes;
  std::vector<int> extent;
  size_t data = 0;  // where the values begin
};

/// Images (N x H x W) and their labels (N).
struct IdxImages {
  /// caffe::Error where there are not as many labels as images.
  IdxImages(const std::string& images_name, std::string images_content,
            const std::string& labels_name, std::string labels_content);
  caffe::Datum Image(int i) const;  // without label

  IdxFile images;
  std::vector<int> labels;
};

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_COMMON_IDX_FILE_HPP_

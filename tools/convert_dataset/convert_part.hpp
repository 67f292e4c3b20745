#ifndef METAPERTURB_TOOLS_CONVERT_DATASET_CONVERT_PART_HPP_
#define METAPERTURB_TOOLS_CONVERT_DATASET_CONVERT_PART_HPP_

#include <string>
#include <vector>

#include "tools/convert_dataset/dataset.hpp"

namespace metaperturb {

/// What images become.
struct ImageSettings {
  int size = 32;       // height and width
  int pad = 4;         // zero pixels on each side, after resizing
  bool color = false;  // grey images get three equal channels
};

/// Writes images chosen[0], chosen[1], ... of a part of `set` to a new LMDB in this order, image i
/// with label[i]. Reading, decoding on all CPUs, and writing overlap. Progress goes to the log.
/// caffe::Error names an image that cannot be decoded.
void ConvertPart(const FileSet& files, const Dataset& set, const Part& part,
                 const std::vector<int>& chosen, const std::vector<int>& label,
                 const ImageSettings& settings, const std::string& output);

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_CONVERT_DATASET_CONVERT_PART_HPP_

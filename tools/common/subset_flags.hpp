#ifndef METAPERTURB_TOOLS_COMMON_SUBSET_FLAGS_HPP_
#define METAPERTURB_TOOLS_COMMON_SUBSET_FLAGS_HPP_

#include "tools/common/dataset_writer.hpp"

namespace metaperturb {

/// The subset that --classes, --per_class, --skip_per_class and --seed ask for.
Subset SubsetFromFlags();

/// Resizes an image of bytes as --resize says, then pads it as --pad says.
void ResizeAndPadByFlags(caffe::Datum* datum);

/// Writes the chosen records of a data set: label[i] is the label of its record i, image(i) the
/// image.
void WriteSubset(const std::string& output, const std::vector<int>& label,
                 const std::function<caffe::Datum(int)>& image);

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_COMMON_SUBSET_FLAGS_HPP_

#ifndef METAPERTURB_TOOLS_METAPERTURB_SHIPPED_PHI_HPP_
#define METAPERTURB_TOOLS_METAPERTURB_SHIPPED_PHI_HPP_

#include <string>

namespace metaperturb {

/// The phi that comes with the project, models/phi/tiny_imagenet_resnet20.caffemodel: where this
/// program was installed, or in the source tree that it was built from. caffe::Error where it is in
/// neither.
std::string ShippedPhi();

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_METAPERTURB_SHIPPED_PHI_HPP_

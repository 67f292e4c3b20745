#ifndef METAPERTURB_TOOLS_METAPERTURB_INPUT_HEIGHT_HPP_
#define METAPERTURB_TOOLS_METAPERTURB_INPUT_HEIGHT_HPP_

#include "caffe/proto/caffe.pb.h"

namespace metaperturb {

/// Height in pixels of the images that a network takes: of its first layer without bottoms that
/// tells it, by a crop, by the shape that it names (Input, DummyData, MemoryData), by the size that
/// it scales to (ImageData), or by the first record of its LMDB where that is here. 0 where no
/// layer tells.
int InputHeight(const caffe::NetParameter& net);

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_METAPERTURB_INPUT_HEIGHT_HPP_

#ifndef METAPERTURB_LAYERS_READ_PHI_HPP_
#define METAPERTURB_LAYERS_READ_PHI_HPP_

#include <string>
#include <vector>

#include "caffe/common.hpp"

namespace caffe {

/// Reads phi's 82 values from a .caffemodel, a .prototxt (NetParameter: the first MetaPerturb
/// layer's first blob) or a .binaryproto (BlobProto). Throws caffe::Error that names the file.
vector<double> ReadPhi(const string& file);

}  // namespace caffe

#endif  // METAPERTURB_LAYERS_READ_PHI_HPP_

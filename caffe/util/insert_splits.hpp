#ifndef CAFFE_UTIL_INSERT_SPLITS_HPP_
#define CAFFE_UTIL_INSERT_SPLITS_HPP_

#include <string>

#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Copies `param` with a Split layer after every blob that more than one bottom reads (a loss
/// weight counts as a reader, too). Throws caffe::Error for a bottom that no earlier layer
/// produces.
void InsertSplits(const NetParameter& param, NetParameter* param_split);

/// Names as Caffe has them: "<blob>_<layer>_<top>_split", and that with "_<k>" for its k-th copy.
std::string SplitLayerName(const std::string& layer_name, const std::string& blob_name,
                           int blob_idx);
std::string SplitBlobName(const std::string& layer_name, const std::string& blob_name, int blob_idx,
                          int split_idx);

}  // namespace caffe

#endif  // CAFFE_UTIL_INSERT_SPLITS_HPP_

#ifndef METAPERTURB_TOOLS_METAPERTURB_RECORD_COUNT_HPP_
#define METAPERTURB_TOOLS_METAPERTURB_RECORD_COUNT_HPP_

#include <cstdint>
#include <string>

#include "caffe/proto/caffe.pb.h"

namespace metaperturb {

/// Records of a database; caffe::Error that names it where it cannot be read.
int64_t CountRecords(const std::string& source, caffe::DataParameter::DB backend);

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_METAPERTURB_RECORD_COUNT_HPP_

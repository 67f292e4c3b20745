#ifndef CAFFE_UTIL_CHECK_PARAM_HPP_
#define CAFFE_UTIL_CHECK_PARAM_HPP_

#include <google/protobuf/message.h>

namespace caffe {

/// Throws caffe::Error for a field of `param`, or of a message within it, whose value no layer and
/// no solver can work with, and which would be taken for another one: an unsigned number above
/// 2^31 - 1 (a -1 that was wrapped around becomes a negative int), and a floating-point number
/// that is none. Stored blobs are not looked at, nor are nets, whose layers each are. The message
/// names the field: "pad is 4294967295".
void CheckParam(const google::protobuf::Message& param);

}  // namespace caffe

#endif  // CAFFE_UTIL_CHECK_PARAM_HPP_

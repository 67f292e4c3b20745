#ifndef METAPERTURB_TESTS_TESTING_REGULARIZER_UTIL_HPP_
#define METAPERTURB_TESTS_TESTING_REGULARIZER_UTIL_HPP_

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

#include "caffe/util/upgrade_proto.hpp"
#include "layers/insert_regularizer.hpp"

namespace metaperturb {

// Networks to insert regularisers into.

inline caffe::NetParameter Parse(const std::string& text) {
  caffe::NetParameter net;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &net));
  return net;
}

/// The plain network of models/NAME.
inline caffe::NetParameter Model(const std::string& name) {
  caffe::NetParameter net;
  caffe::ReadNetParamsFromTextFileOrDie(
      std::string(METAPERTURB_SOURCE_DIR) + "/models/" + name + "/train_val.prototxt", &net);
  return net;
}

inline RegularizerOptions Options(const std::string& type) {
  RegularizerOptions options;
  options.type = type;
  return options;
}

}  // namespace metaperturb

#endif  // METAPERTURB_TESTS_TESTING_REGULARIZER_UTIL_HPP_

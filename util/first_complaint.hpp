#ifndef METAPERTURB_UTIL_FIRST_COMPLAINT_HPP_
#define METAPERTURB_UTIL_FIRST_COMPLAINT_HPP_

#include <google/protobuf/io/tokenizer.h>

#include <boost/algorithm/string/predicate.hpp>
#include <string>

namespace caffe {

/// Keeps the first complaint of protobuf's text parser, with its place counted from 1.
class FirstComplaint : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (!message_.empty()) return;
    line_ = line + 1;
    column_ = column + 1;
    message_ = message;
    const std::string got_nothing = "got: ";  // the parser's words for the end of the text
    if (boost::algorithm::ends_with(message_, got_nothing)) {
      message_.resize(message_.size() - got_nothing.size());
      message_ += "but the text ends here";
    }
  }
  int column() const { return column_; }
  const std::string& message() const { return message_; }
  /// "line:column: message"
  std::string text() const {
    return std::to_string(line_) + ":" + std::to_string(column_) + ": " + message_;
  }

 private:
  int line_ = 0, column_ = 0;
  std::string message_;
};

}  // namespace caffe

#endif  // METAPERTURB_UTIL_FIRST_COMPLAINT_HPP_

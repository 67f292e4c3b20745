#ifndef METAPERTURB_UTIL_ERROR_HPP_
#define METAPERTURB_UTIL_ERROR_HPP_

#include <sstream>
#include <stdexcept>
#include <string>

namespace caffe {

/// A user's mistake: a bad prototxt, shapes that do not fit, a missing or damaged file. what() is
/// one line that names the value; who knows more (Net the layer, Solver the file) puts it in front:
///     models/net.prototxt: layer 'conv1' (Convolution): num_output is 0
/// The tools print it and end with exit code 1. Mistakes in code are glog's CHECK, as in Caffe.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& what) : std::runtime_error(what) {}
};

namespace internal {

/// Collects a message and throws it at the end of the statement.
class ErrorStream {
 public:
  ErrorStream() = default;
  ErrorStream(const ErrorStream&) = delete;
  ErrorStream& operator=(const ErrorStream&) = delete;
  [[noreturn]] ~ErrorStream() noexcept(false) { throw Error(stream_.str()); }
  std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

struct Voidify {
  void operator&(std::ostream&) {}
};

}  // namespace internal
}  // namespace caffe

/// THROW_ERROR << "message": throws caffe::Error.
#define THROW_ERROR ::caffe::internal::ErrorStream().stream()

/// ENFORCE(condition) << "message": throws caffe::Error with the message when the condition is
/// false.
#define ENFORCE(condition) \
  (condition) ? (void)0 : ::caffe::internal::Voidify() & ::caffe::internal::ErrorStream().stream()

#endif  // METAPERTURB_UTIL_ERROR_HPP_

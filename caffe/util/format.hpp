#ifndef CAFFE_UTIL_FORMAT_HPP_
#define CAFFE_UTIL_FORMAT_HPP_

#include <string>

namespace caffe {

/// `n` in decimal, filled up with zeros on the left to `width` characters: format_int(7, 3) =
/// "007".
inline std::string format_int(int n, int width = 0) {
  const std::string digits = std::to_string(n);
  const size_t wanted = width > 0 ? static_cast<size_t>(width) : 0;
  return digits.size() >= wanted ? digits : std::string(wanted - digits.size(), '0') + digits;
}

}  // namespace caffe

#endif  // CAFFE_UTIL_FORMAT_HPP_

#ifndef CAFFE_UTIL_IMAGE_WINDOW_HPP_
#define CAFFE_UTIL_IMAGE_WINDOW_HPP_

#include "util/philox.hpp"

namespace caffe {

/// The part of an image that enters a net: where it begins, and whether left and right are swapped.
struct ImageWindow {
  int top, left;
  bool mirror;
};

/// How windows of out_height x out_width are chosen in images of height x width: at random places
/// or in the middle, mirrored with probability 1/2 or not at all.
struct ImageWindows {
  int height, width, out_height, out_width;
  bool at_random, may_mirror;

  /// `below(n)` draws an integer from [0, n).
  template <class Below>
  CAFFE_HOST_DEVICE ImageWindow Choose(const Below& below) const {
    const int rows = height - out_height, columns = width - out_width;
    ImageWindow window;
    window.top = at_random ? below(rows + 1) : rows / 2;
    window.left = at_random ? below(columns + 1) : columns / 2;
    window.mirror = may_mirror && below(2) != 0;
    return window;
  }
};

}  // namespace caffe

#endif  // CAFFE_UTIL_IMAGE_WINDOW_HPP_

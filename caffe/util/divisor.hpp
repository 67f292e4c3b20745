#ifndef CAFFE_UTIL_DIVISOR_HPP_
#define CAFFE_UTIL_DIVISOR_HPP_

#include <cstdint>

#include "util/philox.hpp"

namespace caffe {

/// Divides numbers in [0, 2^31) by a multiplication and a shift, as GPUs have no integer division
/// (Granlund and Montgomery, "Division by invariant integers using multiplication", PLDI 1994).
class Divisor {
 public:
  /// 0 counts as 1: empty arrays have no element to divide the index of.
  explicit constexpr Divisor(int divisor) : divisor_(divisor > 0 ? divisor : 1), multiplier_(0) {
    while (int64_t{1} << shift_ < divisor_) ++shift_;
    const uint64_t rest = (uint64_t{1} << shift_) - divisor_;
    multiplier_ = static_cast<uint32_t>((rest << 32) / divisor_ + 1);
  }
  CAFFE_HOST_DEVICE int Quotient(int i) const {
    const uint32_t n = static_cast<uint32_t>(i);
    const uint32_t high = static_cast<uint32_t>((uint64_t{n} * multiplier_) >> 32);
    return static_cast<int>((high + n) >> shift_);
  }
  CAFFE_HOST_DEVICE int Remainder(int i) const { return i - Quotient(i) * divisor_; }

 private:
  int divisor_;
  int shift_ = 0;
  uint32_t multiplier_;
};

}  // namespace caffe

#endif  // CAFFE_UTIL_DIVISOR_HPP_

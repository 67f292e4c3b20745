#ifndef METAPERTURB_UTIL_SCRATCH_HPP_
#define METAPERTURB_UTIL_SCRATCH_HPP_

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace caffe {

/// Memory for intermediate values of one computation that the next may overwrite: it grows to the
/// largest need and stays, so that a training step allocates nothing. Make it thread_local where
/// threads compute at the same time.
class Scratch {
 public:
  /// `count` floats, 64-byte aligned; their values are left from earlier, finite numbers. Throws
  /// std::bad_alloc.
  float* Get(size_t count) {
    if (count > count_) {
      data_.reset();
      count_ = 0;
      const size_t bytes = (count * sizeof(float) + 63) / 64 * 64;
      data_.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
      if (!data_) throw std::bad_alloc();
      std::memset(data_.get(), 0, bytes);
      count_ = count;
    }
    return data_.get();
  }

 private:
  struct Free {
    void operator()(float* data) const { std::free(data); }
  };
  std::unique_ptr<float, Free> data_;
  size_t count_ = 0;
};

}  // namespace caffe

#endif  // METAPERTURB_UTIL_SCRATCH_HPP_

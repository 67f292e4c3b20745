#ifndef CAFFE_FILLER_HPP_
#define CAFFE_FILLER_HPP_

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Gives a parameter blob its initial values, from the thread's random stream.
template <typename Dtype>
class Filler {
 public:
  explicit Filler(const FillerParameter& param) : filler_param_(param) {}
  virtual ~Filler() {}
  virtual void Fill(Blob<Dtype>* blob) = 0;

 protected:
  FillerParameter filler_param_;
};

/// The filler of param.type(); the caller owns it. Below, fan_in = count / shape(0) and
/// fan_out = count / shape(1), and n is fan_in, fan_out or their mean as variance_norm says.
///   constant           value (0)
///   uniform            U(min, max) (0, 1)
///   gaussian           N(mean, std^2) (0, 1); sparse >= 0 keeps on average that many non-zero
///   inputs
///                      per output
///   positive_unitball  U(0, 1), then each shape(0) row divided by its sum
///   xavier             U(-b, b), b = sqrt(3 / n)          (Glorot and Bengio, 2010)
///   msra               N(0, 2 / n)                        (He et al., 2015, eq. 10)
///   bilinear           the kernel that interpolates bilinearly; for square 4-D blobs
/// An unknown type is an Error that names the nearest known one.
template <typename Dtype>
Filler<Dtype>* GetFiller(const FillerParameter& param);

}  // namespace caffe

#endif  // CAFFE_FILLER_HPP_

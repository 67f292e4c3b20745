#ifndef CAFFE_FILLER_HPP_
#define CAFFE_FILLER_HPP_

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/util/math_functions.hpp"

namespace caffe {

/// Gives a parameter blob its initial values, from the thread's random stream. An empty blob is
/// left as it is.
template <typename Dtype>
class Filler {
 public:
  explicit Filler(const FillerParameter& param) : filler_param_(param) {}
  virtual ~Filler() {}
  virtual void Fill(Blob<Dtype>* blob) = 0;

 protected:
  FillerParameter filler_param_;
};

// Below, fan_in = count / shape(0) and fan_out = count / shape(1), and n is fan_in, fan_out or
// their mean as variance_norm says; the numbers in parentheses are the defaults.

/// constant: value (0).
template <typename Dtype>
class ConstantFiller : public Filler<Dtype> {
 public:
  using Filler<Dtype>::Filler;
  void Fill(Blob<Dtype>* blob) override;
};

/// uniform: U(min, max) (0, 1); min > max is an Error.
template <typename Dtype>
class UniformFiller : public Filler<Dtype> {
 public:
  using Filler<Dtype>::Filler;
  void Fill(Blob<Dtype>* blob) override;
};

/// gaussian: N(mean, std^2) (0, 1); sparse >= 0 keeps on average that many inputs per output.
template <typename Dtype>
class GaussianFiller : public Filler<Dtype> {
 public:
  using Filler<Dtype>::Filler;
  void Fill(Blob<Dtype>* blob) override;
};

/// positive_unitball: U(0, 1), then each shape(0) row divided by its sum.
template <typename Dtype>
class PositiveUnitballFiller : public Filler<Dtype> {
 public:
  using Filler<Dtype>::Filler;
  void Fill(Blob<Dtype>* blob) override;
};

/// xavier: U(-b, b), b = sqrt(3 / n) (Glorot and Bengio, 2010).
template <typename Dtype>
class XavierFiller : public Filler<Dtype> {
 public:
  using Filler<Dtype>::Filler;
  void Fill(Blob<Dtype>* blob) override;
};

/// msra: N(0, 2 / n) (He et al., 2015, eq. 10).
template <typename Dtype>
class MSRAFiller : public Filler<Dtype> {
 public:
  using Filler<Dtype>::Filler;
  void Fill(Blob<Dtype>* blob) override;
};

/// bilinear: the kernel that interpolates bilinearly; any blob but a 4-D one with square kernels is
/// an Error.
template <typename Dtype>
class BilinearFiller : public Filler<Dtype> {
 public:
  using Filler<Dtype>::Filler;
  void Fill(Blob<Dtype>* blob) override;
};

/// The filler of param.type(); the caller owns it. An unknown type is an Error that names the
/// nearest known one.
template <typename Dtype>
Filler<Dtype>* GetFiller(const FillerParameter& param);

}  // namespace caffe

#endif  // CAFFE_FILLER_HPP_

// The arithmetic of Blob: on the device in GPU mode, so that nothing is copied for it.

#include "caffe/blob.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

namespace {

template <typename Dtype>
Dtype AbsoluteSum(int count, SyncedMemory* memory) {
  if (Caffe::mode() == Caffe::CPU) {
    return caffe_cpu_asum(count, static_cast<const Dtype*>(memory->cpu_data()));
  }
  Dtype sum;
  caffe_gpu_asum(count, static_cast<const Dtype*>(memory->gpu_data()), &sum);
  return sum;
}

template <typename Dtype>
Dtype SquareSum(int count, SyncedMemory* memory) {
  if (Caffe::mode() == Caffe::CPU) {
    const auto* values = static_cast<const Dtype*>(memory->cpu_data());
    return caffe_cpu_dot(count, values, values);
  }
  const auto* values = static_cast<const Dtype*>(memory->gpu_data());
  Dtype sum;
  caffe_gpu_dot(count, values, values, &sum);
  return sum;
}

template <typename Dtype>
void ScaleBy(Dtype factor, int count, SyncedMemory* memory) {
  if (Caffe::mode() == Caffe::CPU) {
    caffe_scal(count, factor, static_cast<Dtype*>(memory->mutable_cpu_data()));
  } else {
    caffe_gpu_scal(count, factor, static_cast<Dtype*>(memory->mutable_gpu_data()));
  }
}

}  // namespace

template <typename Dtype>
void Blob<Dtype>::Update() {
  if (Caffe::mode() == Caffe::GPU) {
    caffe_gpu_axpy(count_, Dtype(-1), gpu_diff(), mutable_gpu_data());
  } else {
    caffe_axpy(count_, Dtype(-1), cpu_diff(), mutable_cpu_data());
  }
}

template <typename Dtype>
Dtype Blob<Dtype>::asum_data() const {
  return data_ ? AbsoluteSum<Dtype>(count_, data_.get()) : 0;
}

template <typename Dtype>
Dtype Blob<Dtype>::asum_diff() const {
  return diff_ ? AbsoluteSum<Dtype>(count_, diff_.get()) : 0;
}

template <typename Dtype>
Dtype Blob<Dtype>::sumsq_data() const {
  return data_ ? SquareSum<Dtype>(count_, data_.get()) : 0;
}

template <typename Dtype>
Dtype Blob<Dtype>::sumsq_diff() const {
  return diff_ ? SquareSum<Dtype>(count_, diff_.get()) : 0;
}

template <typename Dtype>
void Blob<Dtype>::scale_data(Dtype scale_factor) {
  if (data_) ScaleBy(scale_factor, count_, data_.get());
}

template <typename Dtype>
void Blob<Dtype>::scale_diff(Dtype scale_factor) {
  if (diff_) ScaleBy(scale_factor, count_, diff_.get());
}

// Integer blobs hold indices and masks: they have no arithmetic.
#define INTEGER_BLOB(Int)             \
  template <>                         \
  void Blob<Int>::Update() {          \
    NOT_IMPLEMENTED;                  \
  }                                   \
  template <>                         \
  Int Blob<Int>::asum_data() const {  \
    NOT_IMPLEMENTED;                  \
    return 0;                         \
  }                                   \
  template <>                         \
  Int Blob<Int>::asum_diff() const {  \
    NOT_IMPLEMENTED;                  \
    return 0;                         \
  }                                   \
  template <>                         \
  Int Blob<Int>::sumsq_data() const { \
    NOT_IMPLEMENTED;                  \
    return 0;                         \
  }                                   \
  template <>                         \
  Int Blob<Int>::sumsq_diff() const { \
    NOT_IMPLEMENTED;                  \
    return 0;                         \
  }                                   \
  template <>                         \
  void Blob<Int>::scale_data(Int) {   \
    NOT_IMPLEMENTED;                  \
  }                                   \
  template <>                         \
  void Blob<Int>::scale_diff(Int) {   \
    NOT_IMPLEMENTED;                  \
  }

INTEGER_BLOB(int)
INTEGER_BLOB(unsigned int)

#define INSTANTIATE_ARITHMETIC(Dtype)             \
  template void Blob<Dtype>::Update();            \
  template Dtype Blob<Dtype>::asum_data() const;  \
  template Dtype Blob<Dtype>::asum_diff() const;  \
  template Dtype Blob<Dtype>::sumsq_data() const; \
  template Dtype Blob<Dtype>::sumsq_diff() const; \
  template void Blob<Dtype>::scale_data(Dtype);   \
  template void Blob<Dtype>::scale_diff(Dtype)

INSTANTIATE_ARITHMETIC(float);
INSTANTIATE_ARITHMETIC(double);

}  // namespace caffe

#ifndef CAFFE_UTIL_ELEMENTWISE_KERNELS_HPP_
#define CAFFE_UTIL_ELEMENTWISE_KERNELS_HPP_

// For the .cu files of layers that are one formula per element: a functor for y of x, and one for
// dx of dy and of what the backward pass reads, one value or two.

#include "caffe/blob.hpp"
#include "caffe/util/device_launch.hpp"

namespace caffe {

template <typename Dtype, class Function>
struct OfOne {
  Function f;
  const Dtype* a;
  Dtype* out;
  CAFFE_HOST_DEVICE void operator()(int i) const { out[i] = f(a[i]); }
};

template <typename Dtype, class Function>
struct OfTwo {
  Function f;
  const Dtype *a, *b;
  Dtype* out;
  CAFFE_HOST_DEVICE void operator()(int i) const { out[i] = f(a[i], b[i]); }
};

template <typename Dtype, class Function>
struct OfThree {
  Function f;
  const Dtype *a, *b, *c;
  Dtype* out;
  CAFFE_HOST_DEVICE void operator()(int i) const { out[i] = f(a[i], b[i], c[i]); }
};

/// y = f(x)
template <typename Dtype, class Function>
void ComputeTop(const Function& f, const Blob<Dtype>& bottom, Blob<Dtype>* top) {
  const Dtype* x = bottom.gpu_data();
  ForEachIndex(bottom.count(), OfOne<Dtype, Function>{f, x, top->overwrite_gpu_data()});
}

/// dx = f(dy, a)
template <typename Dtype, class Function>
void ComputeDiff(const Function& f, const Blob<Dtype>& top, const Dtype* a, Blob<Dtype>* bottom) {
  const Dtype* dy = top.gpu_diff();
  ForEachIndex(top.count(), OfTwo<Dtype, Function>{f, dy, a, bottom->overwrite_gpu_diff()});
}

/// dx = f(dy, a, b)
template <typename Dtype, class Function>
void ComputeDiff(const Function& f, const Blob<Dtype>& top, const Dtype* a, const Dtype* b,
                 Blob<Dtype>* bottom) {
  const Dtype* dy = top.gpu_diff();
  ForEachIndex(top.count(), OfThree<Dtype, Function>{f, dy, a, b, bottom->overwrite_gpu_diff()});
}

}  // namespace caffe

#endif  // CAFFE_UTIL_ELEMENTWISE_KERNELS_HPP_

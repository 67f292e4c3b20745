#ifndef CAFFE_SOLVERS_FOR_EACH_ELEMENT_HPP_
#define CAFFE_SOLVERS_FOR_EACH_ELEMENT_HPP_

#include "caffe/blob.hpp"
#include "caffe/solvers/update_rules.hpp"

namespace caffe {

/// Calls update(i) for i in [0, n), on several threads where that pays.
template <class Update>
void ForEachElement(int n, const Update& update) {
#pragma omp parallel if (n > 1 << 15)
  {
    const Update own = update;  // where stores cannot change it: the loop is vectorised
#pragma omp for simd schedule(static)
    for (int i = 0; i < n; ++i) own(i);
  }
}

/// A rule of update_rules.hpp for i in [0, n), where the mode says; its arrays are what the
/// functions below give.
template <class Rule>
void Apply(int n, const Rule& rule) {
  if (Caffe::mode() == Caffe::GPU) {
    ApplyOnGpu(n, rule);
  } else {
    ForEachElement(n, rule);
  }
}

template <typename Dtype>
const Dtype* DataOfMode(const Blob<Dtype>& blob) {
  return Caffe::mode() == Caffe::GPU ? blob.gpu_data() : blob.cpu_data();
}

template <typename Dtype>
Dtype* MutableDataOfMode(Blob<Dtype>* blob) {
  return Caffe::mode() == Caffe::GPU ? blob->mutable_gpu_data() : blob->mutable_cpu_data();
}

template <typename Dtype>
Dtype* MutableDiffOfMode(Blob<Dtype>* blob) {
  return Caffe::mode() == Caffe::GPU ? blob->mutable_gpu_diff() : blob->mutable_cpu_diff();
}

}  // namespace caffe

#endif  // CAFFE_SOLVERS_FOR_EACH_ELEMENT_HPP_

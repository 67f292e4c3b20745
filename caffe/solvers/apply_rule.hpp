#ifndef CAFFE_SOLVERS_APPLY_RULE_HPP_
#define CAFFE_SOLVERS_APPLY_RULE_HPP_

#include "caffe/blob.hpp"
#include "caffe/solvers/update_rules.hpp"

namespace caffe {

/// A rule of update_rules.hpp for i in [0, n), where the mode says; its arrays are what the
/// functions below give.
template <class Rule>
void Apply(int n, const Rule& rule) {
  if (Caffe::mode() == Caffe::GPU) {
    ApplyOnGpu(n, rule);
  } else {
    ApplyOnCpu(n, rule);
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

#endif  // CAFFE_SOLVERS_APPLY_RULE_HPP_

#ifndef CAFFE_PARALLEL_HPP_
#define CAFFE_PARALLEL_HPP_

#include "caffe/solver.hpp"

namespace caffe {

/// The learnable parameters of a solver's net as one number. Training runs in one process here, so
/// that this is all there is of Caffe's data-parallel classes.
template <typename Dtype>
class Params {
 public:
  explicit Params(shared_ptr<Solver<Dtype>> root_solver) {
    for (const Blob<Dtype>* param : root_solver->net()->learnable_params()) size_ += param->count();
  }
  virtual ~Params() {}
  size_t size() const { return size_; }

 protected:
  size_t size_ = 0;

  DISABLE_COPY_AND_ASSIGN(Params);
};

}  // namespace caffe

#endif  // CAFFE_PARALLEL_HPP_

#ifndef CAFFE_UTIL_MKL_ALTERNATE_HPP_
#define CAFFE_UTIL_MKL_ALTERNATE_HPP_

// The BLAS interface that math_functions.hpp names in its signatures.
extern "C" {
#include <cblas.h>
}

#endif  // CAFFE_UTIL_MKL_ALTERNATE_HPP_

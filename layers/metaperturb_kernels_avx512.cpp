#ifdef __x86_64__

#include "layers/metaperturb_kernels.hpp"

#include <immintrin.h>

#include <type_traits>

#define ISA_NAME "avx512"

namespace metaperturb {

namespace {

const int kBlock = 16;

// In this order: vectors, what is built of them, the kernels.
#include "layers/metaperturb_simd.inl"
//
#include "layers/metaperturb_stencils.inl"
//
#include "layers/metaperturb_kernels.inl"

}  // namespace

const Kernels& Avx512Kernels() {
  return kKernels;
}

}  // namespace metaperturb

#endif  // __x86_64__

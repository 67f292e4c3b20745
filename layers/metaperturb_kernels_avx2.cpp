#ifdef __x86_64__

#include "layers/metaperturb_kernels.hpp"

#include <immintrin.h>

#include <type_traits>

#define ISA_NAME "avx2"

namespace metaperturb {

namespace {

const int kBlock = 8;

// In this order: vectors, what is built of them, the kernels.
#include "layers/metaperturb_simd.inl"
//
#include "layers/metaperturb_stencils.inl"
//
#include "layers/metaperturb_kernels.inl"

}  // namespace

const Kernels& Avx2Kernels() {
  return kKernels;
}

}  // namespace metaperturb

#endif  // __x86_64__

#include "layers/metaperturb_kernels.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace metaperturb {

namespace {

const int kBlock = 8;

#include "layers/metaperturb_simd.inl"
// After the vector type, which it is written in.
#include "layers/metaperturb_kernels.inl"

}  // namespace

const Kernels& Avx2Kernels() {
  static const Kernels kernels = {kBlock, "avx2",        ScratchSize,   ForwardImage,
                                  Apply,  BackwardNoise, BackwardScale, SampleGroup};
  return kernels;
}

}  // namespace metaperturb

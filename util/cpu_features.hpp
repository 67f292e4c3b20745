#ifndef METAPERTURB_UTIL_CPU_FEATURES_HPP_
#define METAPERTURB_UTIL_CPU_FEATURES_HPP_

namespace caffe {

// The vector instructions that kernels are compiled for. On other processors than x86-64 there are
// none of them: the kernels are compiled for what every processor of that kind has.

/// AVX2 and FMA.
inline bool CpuHasAvx2() {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

/// AVX-512 with its parts F, BW, DQ and VL.
inline bool CpuHasAvx512() {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

}  // namespace caffe

#endif  // METAPERTURB_UTIL_CPU_FEATURES_HPP_

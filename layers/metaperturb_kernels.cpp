#include "layers/metaperturb_kernels.hpp"

#include <cstdlib>
#include <string>

#include "util/error.hpp"

namespace metaperturb {

const Kernels& KernelsFor(const char* wish) {
  const std::string isa = wish ? wish : "";
  ENFORCE(isa.empty() || isa == "generic" || isa == "avx2" || isa == "avx512")
      << "METAPERTURB_ISA=" << isa << " in the environment: is none of generic, avx2, avx512";
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx512 && (isa.empty() || isa == "avx512")) return Avx512Kernels();
  if (avx2 && isa != "generic") return Avx2Kernels();
  return GenericKernels();
}

const Kernels& BestKernels() {
  static const Kernels& best = KernelsFor(std::getenv("METAPERTURB_ISA"));
  return best;
}

}  // namespace metaperturb

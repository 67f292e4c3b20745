#include "layers/metaperturb_kernels.hpp"

#include <cstdlib>
#include <cstring>

namespace metaperturb {

const Kernels& BestKernels() {
  static const Kernels& best = []() -> const Kernels& {
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const char* wish = std::getenv("METAPERTURB_ISA");
    const auto wanted = [wish](const char* isa) { return !wish || std::strcmp(wish, isa) == 0; };
    if (avx512 && wanted("avx512")) return Avx512Kernels();
    if (avx2 && (wanted("avx2") || wanted("avx512"))) return Avx2Kernels();
    return GenericKernels();
  }();
  return best;
}

}  // namespace metaperturb

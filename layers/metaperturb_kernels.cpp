#include "layers/metaperturb_kernels.hpp"

#include <cstdlib>
#include <string>

#include "util/cpu_features.hpp"
#include "util/error.hpp"

namespace metaperturb {

const Kernels& KernelsFor(const char* wish) {
  const std::string isa = wish ? wish : "";
  ENFORCE(isa.empty() || isa == "generic" || isa == "avx2" || isa == "avx512")
      << "METAPERTURB_ISA=" << isa << " in the environment: is none of generic, avx2, avx512";
#ifdef __x86_64__
  if (caffe::CpuHasAvx512() && (isa.empty() || isa == "avx512")) return Avx512Kernels();
  if (caffe::CpuHasAvx2() && isa != "generic") return Avx2Kernels();
#endif
  return GenericKernels();
}

const Kernels& BestKernels() {
  static const Kernels& best = KernelsFor(std::getenv("METAPERTURB_ISA"));
  return best;
}

}  // namespace metaperturb

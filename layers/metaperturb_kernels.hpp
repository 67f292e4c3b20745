#ifndef METAPERTURB_LAYERS_METAPERTURB_KERNELS_HPP_
#define METAPERTURB_LAYERS_METAPERTURB_KERNELS_HPP_

#include <cstddef>
#include <cstdint>

namespace metaperturb {

/// Where the 82 numbers of phi begin.
enum PhiOffset { kA1 = 0, kB1 = 9, kA2 = 18, kB2 = 27, kKappa = 36, kW = 72, kPhiSize = 82 };

/// One image's extents. `groups` blocks of Kernels::block channels each hold `channels` channels.
struct ImageShape {
  int channels = 0, height = 0, width = 0, groups = 0;
};

/// Where an image's noise comes from: `epsilon` in channel blocks; else, with `sample`, standard
/// normal numbers of Philox (util/philox.hpp): number p % 4 of counter (p / 4, image *
/// channels + channel, pass), with p the pixel's index; else zero.
struct NoiseSource {
  const float* epsilon = nullptr;
  bool sample = false;
  uint64_t key = 0;
  uint64_t pass = 0;
  int image = 0;
};

/// How y follows from x and z: y = r(min(x (1 + a (s z - 1)), clip)), where r(t) = max(t, 0) +
/// slope min(t, 0) is a ReLU that comes after the layer; slope 1: none. s has one value per lane.
template <typename Dtype>
struct Output {
  const Dtype* s;
  Dtype a, clip, slope;
};

/// MetaPerturb on one image in channel blocks, in float, in the vector instructions of one
/// processor generation. metaperturb_layer.hpp has the formula and the names. Per-channel arrays
/// have groups * block entries; `scratch` is scratch_size() floats, zero at first, of one thread
/// and shape. Signs are one bit per ReLU and element, `bits_size` bytes per block of channels: four
/// blocks per pixel for kappa's stencils, one for the ReLU inside mu.
struct Kernels {
  int block;
  const char* name;
  size_t bits_size;
  size_t (*scratch_size)(const ImageShape& shape);
  /// f[k][c] = mean_hw ReLU(kappa_k * x[c]), and kappa's signs.
  void (*statistics)(const ImageShape& shape, const float* phi, const float* x, float* f,
                     void* kappa_signs, float* scratch);
  /// z, y, and unless null the signs inside mu.
  void (*perturb)(const ImageShape& shape, const float* phi, const float* x,
                  const NoiseSource& noise, const Output<float>& output, float* z, float* y,
                  void* mu_signs, float* scratch);
  /// dx without the path through s; ds[c]; and unless null dphi[0..35], overwritten. dx may be dy.
  void (*backward_noise)(const ImageShape& shape, const float* phi, const float* x, const float* z,
                         const float* dy, const Output<float>& output, const void* mu_signs,
                         float* dx, float* ds, float* dphi, float* scratch);
  /// Adds to dx the path through s, given df[k][c]; unless null dphi[36..71] is overwritten.
  void (*backward_scale)(const ImageShape& shape, const float* phi, const float* x,
                         const void* kappa_signs, const float* df, float* dx, float* dphi,
                         float* scratch);
  /// The noise itself, every pixel of one group's channels.
  void (*sample)(const NoiseSource& noise, const ImageShape& shape, int group, float* epsilon);
  /// y = e^x, y = 1 / (1 + e^-x), and y = ln(x) for 0 < x <= 1, to a few float roundings; size
  /// elements, a multiple of `block`; x and y at cache lines, y may be x. e^x is infinite from
  /// x = 88.4 on, and 1.6e-38 below -87.
  void (*exp)(size_t size, const float* x, float* y);
  void (*logistic)(size_t size, const float* x, float* y);
  void (*log_of_fraction)(size_t size, const float* x, float* y);
};

const Kernels& Avx512Kernels();  // these two on x86-64 alone
const Kernels& Avx2Kernels();
const Kernels& GenericKernels();
/// The best for this processor up to `isa`: generic, avx2, avx512; null or empty: of all. Throws
/// caffe::Error for any other.
const Kernels& KernelsFor(const char* isa);
/// KernelsFor METAPERTURB_ISA in the environment, as it is at the first call.
const Kernels& BestKernels();

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_METAPERTURB_KERNELS_HPP_

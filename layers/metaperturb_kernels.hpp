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

/// Where an image's noise comes from: `epsilon` in channel blocks; else, with `sample`, standard normal
/// numbers of Philox (caffe/util/philox.hpp): number p % 4 of counter (p / 4, image * channels + channel,
/// pass), with p the pixel's index; else zero.
struct NoiseSource {
  const float* epsilon = nullptr;
  bool sample = false;
  uint64_t key = 0;
  uint64_t pass = 0;
  int image = 0;
};

/// MetaPerturb on one image in channel blocks, in float, in the vector instructions of one processor
/// generation. metaperturb_layer.hpp has the formula and the names. Per-channel arrays have
/// groups * block entries; `scratch` is scratch_size() floats, zero at first, of one thread and shape.
/// The four stencils of the scale need only sums, so no tensor of theirs is ever stored; z is, because
/// the backward pass gets both the noise's value and its derivative from it: softplus'(u) = 1 - e^-z.
struct Kernels {
  int block;
  const char* name;
  size_t (*scratch_size)(const ImageShape& shape);
  /// z, and unless f is null the statistics f[k][c] = mean_hw ReLU(kappa_k * x[c]).
  void (*forward)(const ImageShape& shape, const float* phi, const float* x,
                  const NoiseSource& noise, float* z, float* f, float* scratch);
  /// y = min(x (1 + a (s z - 1)), clip)
  void (*apply)(const ImageShape& shape, const float* x, const float* z, const float* s, float a,
                float clip, float* y);
  /// dx without the path through s; ds[c]; and unless null dphi[0..35], overwritten. dx may be dy.
  void (*backward_noise)(const ImageShape& shape, const float* phi, const float* x, const float* z,
                         const float* dy, const float* s, float a, float clip, float* dx, float* ds,
                         float* dphi, float* scratch);
  /// Adds to dx the path through s, given df[k][c]; unless null dphi[36..71] is overwritten.
  void (*backward_scale)(const ImageShape& shape, const float* phi, const float* x, const float* df,
                         float* dx, float* dphi, float* scratch);
  /// The noise itself, `count` pixels of every channel of one group, for tests.
  void (*sample)(const NoiseSource& noise, const ImageShape& shape, int group, float* epsilon);
};

const Kernels& Avx512Kernels();
const Kernels& Avx2Kernels();
const Kernels& GenericKernels();
/// The best for this processor; METAPERTURB_ISA=generic|avx2|avx512 in the environment overrides.
const Kernels& BestKernels();

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_METAPERTURB_KERNELS_HPP_

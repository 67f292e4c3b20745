#ifndef METAPERTURB_LAYERS_METAPERTURB_COMPUTE_HPP_
#define METAPERTURB_LAYERS_METAPERTURB_COMPUTE_HPP_

#include <cstddef>

#include "layers/metaperturb_kernels.hpp"
#include "layers/metaperturb_reference.hpp"

namespace metaperturb {

/// What the layer computes an image with, under the same names for both types: float by the best
/// kernels for this processor, double by the reference, which keeps no signs.
template <typename Dtype>
struct Compute;

template <>
struct Compute<double> : Reference<double> {
  typedef Reference<double> Base;
  static size_t ScratchSize(const ImageShape&) { return 0; }
  static size_t SignsSize(const ImageShape&) { return 0; }
  static void Statistics(const ImageShape& s, const double* phi, const double* x, double* f, char*,
                         float*) {
    Base::Statistics(s, phi, x, f);
  }
  static void Perturb(const ImageShape& s, const double* phi, const double* x,
                      const double* epsilon, const NoiseSource& noise, const Output<double>& output,
                      double* z, double* y, char*, float*) {
    Base::Perturb(s, phi, x, epsilon, noise, output, z, y);
  }
  static void BackwardNoise(const ImageShape& s, const double* phi, const double* x,
                            const double* z, const double* dy, const Output<double>& output,
                            const char*, double* dx, double* ds, double* dphi, float*) {
    Base::BackwardNoise(s, phi, x, z, dy, output, dx, ds, dphi);
  }
  static void BackwardScale(const ImageShape& s, const double* phi, const double* x, const char*,
                            const double* df, double* dx, double* dphi, float*) {
    Base::BackwardScale(s, phi, x, df, dx, dphi);
  }
};

template <>
struct Compute<float> {
  static const Kernels& kernels() { return BestKernels(); }
  static size_t ScratchSize(const ImageShape& s) { return kernels().scratch_size(s); }
  static size_t SignsSize(const ImageShape& s) {
    return size_t(s.groups) * s.height * s.width * kernels().bits_size;
  }
  static void Statistics(const ImageShape& s, const float* phi, const float* x, float* f,
                         char* kappa_signs, float* scratch) {
    kernels().statistics(s, phi, x, f, kappa_signs, scratch);
  }
  static void Perturb(const ImageShape& s, const float* phi, const float* x, const float* epsilon,
                      NoiseSource noise, const Output<float>& output, float* z, float* y,
                      char* mu_signs, float* scratch) {
    noise.epsilon = epsilon;
    kernels().perturb(s, phi, x, noise, output, z, y, mu_signs, scratch);
  }
  static void BackwardNoise(const ImageShape& s, const float* phi, const float* x, const float* z,
                            const float* dy, const Output<float>& output, const char* mu_signs,
                            float* dx, float* ds, float* dphi, float* scratch) {
    kernels().backward_noise(s, phi, x, z, dy, output, mu_signs, dx, ds, dphi, scratch);
  }
  static void BackwardScale(const ImageShape& s, const float* phi, const float* x,
                            const char* kappa_signs, const float* df, float* dx, float* dphi,
                            float* scratch) {
    kernels().backward_scale(s, phi, x, kappa_signs, df, dx, dphi, scratch);
  }
};

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_METAPERTURB_COMPUTE_HPP_

#ifndef METAPERTURB_UTIL_RANDOM_VARIATES_HPP_
#define METAPERTURB_UTIL_RANDOM_VARIATES_HPP_

#include <cmath>
#include <cstdint>

#include "util/philox.hpp"

namespace caffe {

// Numbers of some distributions from a generator of 32-bit numbers (PhiloxEngine), by formulas of
// our own: std's distributions differ between libraries.

/// Uniform integer in [0, n), without bias (n > 0).
template <class Generator>
CAFFE_HOST_DEVICE uint32_t UniformBelow(uint32_t n, Generator* gen) {
  const uint32_t limit = 0xFFFFFFFFu - (0xFFFFFFFFu % n + 1) % n;
  uint32_t r;
  do {
    r = (*gen)();
  } while (r > limit);
  return r % n;
}

/// Uniform in the open interval (0, 1).
template <class Generator>
double UniformVariate(Generator* gen) {
  return ((*gen)() + 0.5) / 4294967296.0;
}

/// Standard normal, Box-Muller.
template <class Generator>
double NormalVariate(Generator* gen) {
  const double radius = std::sqrt(-2 * std::log(UniformVariate(gen)));
  return radius * std::cos(6.283185307179586 * UniformVariate(gen));
}

/// The logarithm of a Gamma(shape, 1) number, shape > 0, by Marsaglia and Tsang, "A simple method
/// for generating gamma variables" (ACM TOMS 2000). A small shape gives numbers that underflow, but
/// whose logarithm does not.
template <class Generator>
double LogGammaVariate(double shape, Generator* gen) {
  if (shape < 1) {
    const double larger = LogGammaVariate(shape + 1, gen);
    return larger + std::log(UniformVariate(gen)) / shape;
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = NormalVariate(gen), root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(UniformVariate(gen)) < x * x / 2 + d * (1 - v + std::log(v))) {
      return std::log(d * v);
    }
  }
}

/// Beta(a, b) in [0, 1]; a, b > 0.
template <class Generator>
double BetaVariate(double a, double b, Generator* gen) {
  const double x = LogGammaVariate(a, gen), y = LogGammaVariate(b, gen);
  return 1 / (1 + std::exp(y - x));
}

}  // namespace caffe

#endif  // METAPERTURB_UTIL_RANDOM_VARIATES_HPP_

#ifndef CAFFE_UTIL_RNG_HPP_
#define CAFFE_UTIL_RNG_HPP_

#include <algorithm>
#include <iterator>
#include <utility>

#include "caffe/common.hpp"
#include "util/philox.hpp"

namespace caffe {

typedef PhiloxEngine rng_t;

/// The calling thread's stream.
inline rng_t* caffe_rng() {
  return static_cast<rng_t*>(Caffe::rng_stream().generator());
}

/// Uniform integer in [0, n), without bias (n > 0).
template <class Generator>
uint32_t UniformBelow(uint32_t n, Generator* gen) {
  const uint32_t limit = 0xFFFFFFFFu - (0xFFFFFFFFu % n + 1) % n;
  uint32_t r;
  do {
    r = (*gen)();
  } while (r > limit);
  return r % n;
}

/// Random permutation of [begin, end), Fisher-Yates; the same on every platform.
template <class RandomAccessIterator, class RandomGenerator>
void shuffle(RandomAccessIterator begin, RandomAccessIterator end, RandomGenerator* gen) {
  for (auto left = std::distance(begin, end); left > 1; --left) {
    const auto pick = UniformBelow(static_cast<uint32_t>(left), gen);
    std::iter_swap(begin + (left - 1), begin + pick);
  }
}

template <class RandomAccessIterator>
void shuffle(RandomAccessIterator begin, RandomAccessIterator end) {
  shuffle(begin, end, caffe_rng());
}

}  // namespace caffe

#endif  // CAFFE_UTIL_RNG_HPP_

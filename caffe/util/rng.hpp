#ifndef CAFFE_UTIL_RNG_HPP_
#define CAFFE_UTIL_RNG_HPP_

#include <algorithm>
#include <iterator>
#include <utility>

#include "caffe/common.hpp"
#include "util/philox.hpp"
#include "util/random_variates.hpp"

namespace caffe {

typedef PhiloxEngine rng_t;

/// The calling thread's stream.
inline rng_t* caffe_rng() {
  return static_cast<rng_t*>(Caffe::rng_stream().generator());
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

#ifndef CAFFE_UTIL_VECTOR_LANES_HPP_
#define CAFFE_UTIL_VECTOR_LANES_HPP_

#include <cstring>

// For sources whose loops are in vectors. They are spelt out, since compilers leave loops over
// lanes scalar and keep arrays of running sums in memory.

// One version of a function per vector instruction set, chosen when the library is loaded.
// Sanitizers' start-up code runs after that choice, so their builds do without.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
#define CAFFE_VECTOR_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CAFFE_VECTOR_CLONES
#endif
#define CAFFE_INLINED __attribute__((always_inline))
#define CAFFE_INLINE inline CAFFE_INLINED

/// return Body<16>(...), Body<8>(...) or Body<1>(...), as channel blocks have `block` channels.
#define CAFFE_BY_LANES(block, Body, ...) \
  switch (block) {                       \
    case 16:                             \
      return Body<16>(__VA_ARGS__);      \
    case 8:                              \
      return Body<8>(__VA_ARGS__);       \
    default:                             \
      return Body<1>(__VA_ARGS__);       \
  }

namespace caffe {

template <int kLanes, typename Type>
struct VectorOf {
  typedef Type Vector __attribute__((vector_size(kLanes * sizeof(Type))));
  static CAFFE_INLINE Vector Load(const Type* from) {
    Vector v;
    std::memcpy(&v, from, sizeof v);
    return v;
  }
  static CAFFE_INLINE void Store(Type* to, Vector v) { std::memcpy(to, &v, sizeof v); }
  static CAFFE_INLINE Vector Spread(Type value) { return value - Vector{}; }
};

}  // namespace caffe

#endif  // CAFFE_UTIL_VECTOR_LANES_HPP_

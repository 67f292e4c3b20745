#ifndef METAPERTURB_LAYERS_ALIGNED_VECTOR_HPP_
#define METAPERTURB_LAYERS_ALIGNED_VECTOR_HPP_

#include <cstddef>
#include <new>
#include <vector>

namespace metaperturb {

/// std::vector's memory at cache lines, which the kernels' vector loads ask for.
template <typename T>
struct CacheAligned {
  typedef T value_type;
  CacheAligned() = default;
  template <typename U>
  CacheAligned(const CacheAligned<U>&) {}
  T* allocate(size_t n) {
    return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t(64)));
  }
  void deallocate(T* p, size_t) { ::operator delete(p, std::align_val_t(64)); }
  bool operator==(const CacheAligned&) const { return true; }
  bool operator!=(const CacheAligned&) const { return false; }
};

template <typename T>
using AlignedVector = std::vector<T, CacheAligned<T>>;

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_ALIGNED_VECTOR_HPP_

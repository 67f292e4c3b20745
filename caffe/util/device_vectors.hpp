#ifndef CAFFE_UTIL_DEVICE_VECTORS_HPP_
#define CAFFE_UTIL_DEVICE_VECTORS_HPP_

// Neighbours in memory that one thread of a kernel reads or writes at once, which on a GPU takes a
// quarter of the instructions and keeps more of the memory's bandwidth busy; for .cu files.

#include <cstdint>
#include <cstring>
#include <initializer_list>

#include "caffe/util/device_launch.hpp"

namespace caffe {

/// kWidth neighbours. Four floats are one access of 16 bytes, four doubles are two.
template <typename Dtype, int kWidth>
struct alignas(kWidth * sizeof(Dtype) > 16 ? 16 : kWidth * sizeof(Dtype)) Neighbours {
  Dtype at[kWidth];
};

template <int kWidth, typename Dtype>
CAFFE_HOST_DEVICE Neighbours<Dtype, kWidth> LoadNeighbours(const Dtype* from) {
#ifdef __CUDA_ARCH__
  return *reinterpret_cast<const Neighbours<Dtype, kWidth>*>(from);
#else
  Neighbours<Dtype, kWidth> values;
  std::memcpy(values.at, from, sizeof(values.at));
  return values;
#endif
}

template <int kWidth, typename Dtype>
CAFFE_HOST_DEVICE void StoreNeighbours(const Neighbours<Dtype, kWidth>& values, Dtype* to) {
#ifdef __CUDA_ARCH__
  *reinterpret_cast<Neighbours<Dtype, kWidth>*>(to) = values;
#else
  std::memcpy(to, values.at, sizeof(values.at));
#endif
}

/// Whether arrays (null: none) that consist of rows of `row` values may be read and written four
/// values at once: memory that a caller of the library allocated may begin anywhere.
inline bool FourAtOnce(int row, std::initializer_list<const void*> arrays) {
  bool aligned = row % 4 == 0;
  for (const void* array : arrays) {
    aligned = aligned && reinterpret_cast<std::uintptr_t>(array) % 16 == 0;
  }
  return aligned;
}

namespace internal {

template <typename Dtype, int kWidth, class Function>
struct MapNeighboursOfOne {
  Function f;
  const Dtype* u;
  Dtype* y;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int at = i * kWidth;
    const auto us = LoadNeighbours<kWidth>(u + at);
    Neighbours<Dtype, kWidth> values;
    for (int k = 0; k < kWidth; ++k) values.at[k] = f(us.at[k]);
    StoreNeighbours(values, y + at);
  }
};

template <typename Dtype, int kWidth, class Function>
struct MapNeighbours {
  Function f;
  const Dtype *u, *v;
  Dtype* y;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int at = i * kWidth;
    const auto us = LoadNeighbours<kWidth>(u + at), vs = LoadNeighbours<kWidth>(v + at);
    Neighbours<Dtype, kWidth> values;
    for (int k = 0; k < kWidth; ++k) values.at[k] = f(us.at[k], vs.at[k]);
    StoreNeighbours(values, y + at);
  }
};

}  // namespace internal

/// y[i] = f(u[i]) for i = 0 .. count - 1; y may be u.
template <typename Dtype, class Function>
void MapElements(int count, const Function& f, const Dtype* u, Dtype* y) {
  if (FourAtOnce(count, {u, y})) {
    ForEachIndex(count / 4, internal::MapNeighboursOfOne<Dtype, 4, Function>{f, u, y});
  } else {
    ForEachIndex(count, internal::MapNeighboursOfOne<Dtype, 1, Function>{f, u, y});
  }
}

/// y[i] = f(u[i], v[i]) for i = 0 .. count - 1; y may be u or v.
template <typename Dtype, class Function>
void MapElements(int count, const Function& f, const Dtype* u, const Dtype* v, Dtype* y) {
  if (FourAtOnce(count, {u, v, y})) {
    ForEachIndex(count / 4, internal::MapNeighbours<Dtype, 4, Function>{f, u, v, y});
  } else {
    ForEachIndex(count, internal::MapNeighbours<Dtype, 1, Function>{f, u, v, y});
  }
}

}  // namespace caffe

#endif  // CAFFE_UTIL_DEVICE_VECTORS_HPP_

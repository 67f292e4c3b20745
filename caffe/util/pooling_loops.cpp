#include "caffe/util/pooling_loops.hpp"

#include <algorithm>
#include <cstddef>

#include "caffe/util/vector_lanes.hpp"

namespace caffe {

namespace {

// ---- what is done with one window, kLanes channels side by side ----

/// A window within the image: its number, its first pixel and its extents there, and its area with
/// its padding.
struct Place {
  int window, first, height, width, area;
};

// kSize: the window's height and width where the compiler is to know them, else 0.
template <int kSize, class Function>
CAFFE_INLINE void ForEachPixel(const Place& place, int row, const Function& f) {
  const int height = kSize ? kSize : place.height, width = kSize ? kSize : place.width;
  for (int r = 0; r < height; ++r) {
    for (int c = 0; c < width; ++c) f(place.first + r * row + c);
  }
}

template <int kLanes, typename Dtype>
struct MaxForward {
  typedef VectorOf<kLanes, Dtype> V;
  typedef VectorOf<kLanes, int> I;
  const Dtype* x;
  Dtype* y;
  int* argmax;

  template <int kSize>
  CAFFE_INLINE void Window(const Place& place, int row) const {
    auto best = V::Load(x + size_t(place.first) * kLanes);
    typename I::Vector number = {}, best_number = {};
    ForEachPixel<kSize>(place, row, [&](int at) CAFFE_INLINED {
      const auto pixel = V::Load(x + size_t(at) * kLanes);
      const auto larger = pixel > best;
      const auto chosen = __builtin_convertvector(larger, typename I::Vector);
      best = larger ? pixel : best;
      best_number = chosen ? number : best_number;
      number += 1;
    });
    V::Store(y + size_t(place.window) * kLanes, best);
    I::Store(argmax + size_t(place.window) * kLanes, best_number);
  }
};

template <int kLanes, typename Dtype>
struct AverageForward {
  typedef VectorOf<kLanes, Dtype> V;
  const Dtype* x;
  Dtype* y;

  template <int kSize>
  CAFFE_INLINE void Window(const Place& place, int row) const {
    typename V::Vector sum = {};
    ForEachPixel<kSize>(place, row,
                        [&](int at) CAFFE_INLINED { sum += V::Load(x + size_t(at) * kLanes); });
    V::Store(y + size_t(place.window) * kLanes, sum / Dtype(place.area));
  }
};

// Where no pixel is in two windows (kApart) its gradient is stored, else added to what is there.
// The maximum's is selected among the window's pixels rather than scattered.
template <int kLanes, bool kApart, typename Dtype>
struct MaxBackward {
  typedef VectorOf<kLanes, Dtype> V;
  typedef VectorOf<kLanes, int> I;
  typedef decltype(typename V::Vector{} > typename V::Vector{}) Mask;
  const Dtype* dy;
  const int* argmax;
  Dtype* dx;

  template <int kSize>
  CAFFE_INLINE void Window(const Place& place, int row) const {
    const auto gradient = V::Load(dy + size_t(place.window) * kLanes);
    const auto best_number = I::Load(argmax + size_t(place.window) * kLanes);
    typename I::Vector number = {};
    ForEachPixel<kSize>(place, row, [&](int at) CAFFE_INLINED {
      Dtype* pixel = dx + size_t(at) * kLanes;
      const auto chosen = __builtin_convertvector(best_number == number, Mask);
      const auto part = chosen ? gradient : typename V::Vector{};
      V::Store(pixel, kApart ? part : V::Load(pixel) + part);
      number += 1;
    });
  }
};

template <int kLanes, bool kApart, typename Dtype>
struct AverageBackward {
  typedef VectorOf<kLanes, Dtype> V;
  const Dtype* dy;
  Dtype* dx;

  template <int kSize>
  CAFFE_INLINE void Window(const Place& place, int row) const {
    const auto part = V::Load(dy + size_t(place.window) * kLanes) / Dtype(place.area);
    ForEachPixel<kSize>(place, row, [&](int at) CAFFE_INLINED {
      Dtype* pixel = dx + size_t(at) * kLanes;
      V::Store(pixel, kApart ? part : V::Load(pixel) + part);
    });
  }
};

// ---- the windows of one plane ----

template <class Action>
CAFFE_INLINE void ForEachWindow(const PoolingAxis& rows, const PoolingAxis& columns,
                                const Action& action) {
  const int row = columns.pixels;
  for (int h = 0; h < rows.windows; ++h) {
    const PoolingAxis::Window high = rows.At(h);
    for (int w = 0; w < columns.windows; ++w) {
      const PoolingAxis::Window wide = columns.At(w);
      const Place place = {h * columns.windows + w, high.begin * row + wide.begin,
                           high.end - high.begin, wide.end - wide.begin, high.extent * wide.extent};
      if (place.height == 2 && place.width == 2) {
        action.template Window<2>(place, row);
      } else if (place.height == 3 && place.width == 3) {
        action.template Window<3>(place, row);
      } else {
        action.template Window<0>(place, row);
      }
    }
  }
}

template <int kLanes, typename Dtype>
CAFFE_INLINE void MaxForwardBody(const PoolingAxis& rows, const PoolingAxis& columns,
                                 const Dtype* x, Dtype* y, int* argmax) {
  ForEachWindow(rows, columns, MaxForward<kLanes, Dtype>{x, y, argmax});
}

template <int kLanes, typename Dtype>
CAFFE_INLINE void AverageForwardBody(const PoolingAxis& rows, const PoolingAxis& columns,
                                     const Dtype* x, Dtype* y) {
  ForEachWindow(rows, columns, AverageForward<kLanes, Dtype>{x, y});
}

template <int kLanes, typename Dtype>
CAFFE_INLINE void ClearUnlessTiled(const PoolingAxis& rows, const PoolingAxis& columns, Dtype* dx) {
  if (rows.Tiles() && columns.Tiles()) return;
  std::fill(dx, dx + size_t(rows.pixels) * columns.pixels * kLanes, Dtype(0));
}

template <int kLanes, typename Dtype>
CAFFE_INLINE void MaxBackwardBody(const PoolingAxis& rows, const PoolingAxis& columns,
                                  const Dtype* dy, const int* argmax, Dtype* dx) {
  ClearUnlessTiled<kLanes>(rows, columns, dx);
  if (rows.Apart() && columns.Apart()) {
    ForEachWindow(rows, columns, MaxBackward<kLanes, true, Dtype>{dy, argmax, dx});
  } else {
    ForEachWindow(rows, columns, MaxBackward<kLanes, false, Dtype>{dy, argmax, dx});
  }
}

template <int kLanes, typename Dtype>
CAFFE_INLINE void AverageBackwardBody(const PoolingAxis& rows, const PoolingAxis& columns,
                                      const Dtype* dy, Dtype* dx) {
  ClearUnlessTiled<kLanes>(rows, columns, dx);
  if (rows.Apart() && columns.Apart()) {
    ForEachWindow(rows, columns, AverageBackward<kLanes, true, Dtype>{dy, dx});
  } else {
    ForEachWindow(rows, columns, AverageBackward<kLanes, false, Dtype>{dy, dx});
  }
}

// ---- the same by block size ----

// clang-format off
#define DEFINE_PLANE_LOOPS(Dtype, CLONES)                                                       \
  CLONES void MaxForwardPlane(int block, const PoolingAxis& rows, const PoolingAxis& columns,   \
                              const Dtype* x, Dtype* y, int* argmax) {                          \
    CAFFE_BY_LANES(block, MaxForwardBody, rows, columns, x, y, argmax)                          \
  }                                                                                             \
  CLONES void MaxBackwardPlane(int block, const PoolingAxis& rows, const PoolingAxis& columns,  \
                               const Dtype* dy, const int* argmax, Dtype* dx) {                 \
    CAFFE_BY_LANES(block, MaxBackwardBody, rows, columns, dy, argmax, dx)                       \
  }                                                                                             \
  CLONES void AverageForwardPlane(int block, const PoolingAxis& rows,                           \
                                  const PoolingAxis& columns, const Dtype* x, Dtype* y) {       \
    CAFFE_BY_LANES(block, AverageForwardBody, rows, columns, x, y)                              \
  }                                                                                             \
  CLONES void AverageBackwardPlane(int block, const PoolingAxis& rows,                          \
                                   const PoolingAxis& columns, const Dtype* dy, Dtype* dx) {    \
    CAFFE_BY_LANES(block, AverageBackwardBody, rows, columns, dy, dx)                           \
  }
// clang-format on

DEFINE_PLANE_LOOPS(float, CAFFE_VECTOR_CLONES)
DEFINE_PLANE_LOOPS(double, )

/// body(a plane's first element of the image, and of the windows), threads side by side.
template <class Body>
void ForEachPlane(const PoolingAxis& rows, const PoolingAxis& columns, int planes, int block,
                  const Body& body) {
  const size_t pixels = size_t(rows.pixels) * columns.pixels * block;
  const size_t windows = size_t(rows.windows) * columns.windows * block;
#pragma omp parallel for schedule(static)
  for (int p = 0; p < planes; ++p) body(p * pixels, p * windows);
}

}  // namespace

template <typename Dtype>
void MaxPoolingForward(const PoolingAxis& rows, const PoolingAxis& columns, int planes, int block,
                       const Dtype* x, Dtype* y, int* argmax) {
  ForEachPlane(rows, columns, planes, block, [&](size_t in, size_t out) {
    MaxForwardPlane(block, rows, columns, x + in, y + out, argmax + out);
  });
}

template <typename Dtype>
void MaxPoolingBackward(const PoolingAxis& rows, const PoolingAxis& columns, int planes, int block,
                        const Dtype* dy, const int* argmax, Dtype* dx) {
  ForEachPlane(rows, columns, planes, block, [&](size_t in, size_t out) {
    MaxBackwardPlane(block, rows, columns, dy + out, argmax + out, dx + in);
  });
}

template <typename Dtype>
void AveragePoolingForward(const PoolingAxis& rows, const PoolingAxis& columns, int planes,
                           int block, const Dtype* x, Dtype* y) {
  ForEachPlane(rows, columns, planes, block, [&](size_t in, size_t out) {
    AverageForwardPlane(block, rows, columns, x + in, y + out);
  });
}

template <typename Dtype>
void AveragePoolingBackward(const PoolingAxis& rows, const PoolingAxis& columns, int planes,
                            int block, const Dtype* dy, Dtype* dx) {
  ForEachPlane(rows, columns, planes, block, [&](size_t in, size_t out) {
    AverageBackwardPlane(block, rows, columns, dy + out, dx + in);
  });
}

#define INSTANTIATE_POOLING_LOOPS(Dtype)                                                           \
  template void MaxPoolingForward(const PoolingAxis&, const PoolingAxis&, int, int, const Dtype*,  \
                                  Dtype*, int*);                                                   \
  template void MaxPoolingBackward(const PoolingAxis&, const PoolingAxis&, int, int, const Dtype*, \
                                   const int*, Dtype*);                                            \
  template void AveragePoolingForward(const PoolingAxis&, const PoolingAxis&, int, int,            \
                                      const Dtype*, Dtype*);                                       \
  template void AveragePoolingBackward(const PoolingAxis&, const PoolingAxis&, int, int,           \
                                       const Dtype*, Dtype*)

INSTANTIATE_POOLING_LOOPS(float);
INSTANTIATE_POOLING_LOOPS(double);

}  // namespace caffe

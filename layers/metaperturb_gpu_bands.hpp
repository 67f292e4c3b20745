#ifndef METAPERTURB_LAYERS_METAPERTURB_GPU_BANDS_HPP_
#define METAPERTURB_LAYERS_METAPERTURB_GPU_BANDS_HPP_

// How MetaPerturb's GPU kernels go through planes, H x W. A warp has a band: kBand rows of one wide
// plane, or of several narrow ones beside each other, a column per lane. It goes down the rows with
// what a 3x3 stencil reads in registers; columns beside each other come from the neighbouring
// lanes. So an element is read once by a kernel, by all of whose stencils.

#include "caffe/util/device_lanes.hpp"
#include "caffe/util/device_launch.hpp"
#include "caffe/util/divisor.hpp"

namespace metaperturb {

using caffe::Block;
using caffe::Divisor;
using caffe::ForEachLane;
using caffe::Lanes;

/// Rows of a band where nothing else is said; noise needs a multiple of 4.
const int kBand = 8;
/// Columns beside a wide plane's band that its lanes hold, too: a stencil of a stencil reads so
/// far.
const int kBeside = 2;

/// max(v, 0); what is not a number stays so.
template <typename Dtype>
CAFFE_HOST_DEVICE inline Dtype Rectified(Dtype v) {
  return v <= 0 ? Dtype(0) : v;
}

/// How `planes` planes are divided among warps.
struct Bands {
  int planes, height, width;
  int rows;       // of a band, unless it is a plane's last
  bool wide;      // planes have more columns than a warp has lanes
  int together;   // planes of a warp: 1 if wide
  int columns;    // of a band in one plane: the width, or a share of it
  int pitch;      // lanes that a plane has: the width, or all
  int across;     // bands beside each other in a wide plane
  int per_plane;  // bands
  int warps;
  Divisor by_pitch, by_across, by_per_plane;

  Bands(int planes_, int height_, int width_, int rows_ = kBand)
      : planes(planes_),
        height(height_),
        width(width_),
        rows(rows_),
        wide(width_ > Block::kWarp),
        together(wide ? 1 : Block::kWarp / width_),
        columns(width_),
        pitch(wide ? Block::kWarp : width_),
        across(1),
        per_plane(0),
        warps(0),
        by_pitch(pitch),
        by_across(1),
        by_per_plane(1) {
    if (wide) {
      const int most = Block::kWarp - 2 * kBeside;
      across = (width + most - 1) / most;
      columns = (width + across - 1) / across;
      by_across = Divisor(across);
    }
    per_plane = (height + rows - 1) / rows * across;
    by_per_plane = Divisor(per_plane);
    warps = (planes + together - 1) / together * per_plane;
  }

  /// The same, of planes that a kernel knows to be kSide x kSide (0: it does not): places in them
  /// are constants for the compiler.
  template <int kSide>
  CAFFE_HOST_DEVICE Bands Known() const {
    Bands known = *this;
    if (kSide > 0) {
      constexpr Divisor by_side(kSide);
      known.height = known.width = known.columns = known.pitch = kSide;
      known.wide = false;
      known.together = Block::kWarp / (kSide > 0 ? kSide : 1);
      known.across = 1;
      known.by_pitch = by_side;
    }
    return known;
  }
};

/// A side of planes as a type.
template <int kSide>
struct Side {
  static const int side = kSide;
};
/// start(Side<S>()) with S the side of the planes if they are among those, of floats, that kernels
/// are compiled for, else with 0.
template <typename Dtype, class Start>
auto WithSide(int height, int width, const Start& start) {
  if constexpr (sizeof(Dtype) == sizeof(float)) {
    const int side = height == width ? width : 0;
    if (side == 32) return start(Side<32>());
    if (side == 16) return start(Side<16>());
    if (side == 8) return start(Side<8>());
    if (side == 4) return start(Side<4>());
  }
  return start(Side<0>());
}

/// Where a warp's lanes stand.
struct Band {
  int first;            // plane, that of lane 0
  int index, h0, rows;  // of a plane's bands which, where it begins, rows inside the plane
  int w0;               // its first column, that of lane kBeside if wide
  Lanes<int> plane, w;
  Lanes<bool> inside;               // the lane has a column of a plane,
  Lanes<bool> own;                  // and one of this band, not of the next
  Lanes<bool> has_left, has_right;  // within the row
  Lanes<int> at;  // in planes x H x W: the band's first pixel in the lane's column

  /// Band `index_` of planes first .. end - 1, at most bands.together of them.
  CAFFE_HOST_DEVICE Band(const Bands& bands, int first_, int end, int index_)
      : first(first_), index(index_) {
    const int down = bands.by_across.Quotient(index);
    h0 = down * bands.rows;
    rows = bands.height - h0 < bands.rows ? bands.height - h0 : bands.rows;
    w0 = (index - down * bands.across) * bands.columns;
    ForEachLane([&](int lane) {
      int slot = 0, column = lane - kBeside;
      if (!bands.wide) {
        slot = bands.by_pitch.Quotient(lane);
        column = lane - slot * bands.pitch;
      }
      plane[lane] = first + slot;
      w[lane] = w0 + column;
      inside[lane] =
          slot < bands.together && plane[lane] < end && w[lane] >= 0 && w[lane] < bands.width;
      own[lane] = inside[lane] && column >= 0 && column < bands.columns;
      has_left[lane] = w[lane] > 0;
      has_right[lane] = w[lane] + 1 < bands.width;
      at[lane] = (plane[lane] * bands.height + h0) * bands.width + w[lane];
    });
  }
};

/// Of all planes' bands, that of the index; of all warps, that of the warp.
CAFFE_HOST_DEVICE inline Band BandOf(const Bands& bands, int index) {
  const int group = bands.by_per_plane.Quotient(index);
  return Band(bands, group * bands.together, bands.planes, index - group * bands.per_plane);
}
CAFFE_HOST_DEVICE inline Band BandOf(const Bands& bands, const Block& warp) {
  return BandOf(bands, warp.index());
}

/// Rows first .. first + kRows - 1 of the band's columns, counted from the band's first one on;
/// zeros outside the planes. `at` says where that first row is: Band::at, or that of another array.
template <int kRows, typename T, typename From>
CAFFE_HOST_DEVICE inline void LoadRows(const Bands& bands, const Band& band, const Lanes<int>& at,
                                       int first, const From* from, Lanes<T>* rows) {
  ForEachLane([&](int lane) {
    const From* column = from + (at[lane] + first * bands.width);
    CAFFE_UNROLL
    for (int i = 0; i < kRows; ++i) {
      const int h = band.h0 + first + i;
      const bool is_there = h >= 0 && h < bands.height && band.inside[lane];
      rows[i][lane] = is_there ? T(column[i * bands.width]) : T(0);
    }
  });
}

/// A 3x3 kernel in registers.
template <typename Dtype>
struct Kernel3x3 {
  Dtype k[9];
  CAFFE_HOST_DEVICE explicit Kernel3x3(const Dtype* from) {
    for (int t = 0; t < 9; ++t) k[t] = from[t];
  }
};

/// kernel * plane at (r, q), plane.At being its values and what is around them.
template <typename Dtype, class Plane>
CAFFE_HOST_DEVICE inline Dtype StencilAt(const Plane& plane, const Kernel3x3<Dtype>& kernel, int r,
                                         int q) {
  Dtype sum = 0;
  for (int t = 0; t < 9; ++t) sum += kernel.k[t] * plane.At(r - 1 + t / 3, q - 1 + t % 3);
  return sum;
}
/// The same with the kernel turned around.
template <typename Dtype, class Plane>
CAFFE_HOST_DEVICE inline Dtype TurnedStencilAt(const Plane& plane, const Kernel3x3<Dtype>& kernel,
                                               int r, int q) {
  Dtype sum = 0;
  for (int t = 0; t < 9; ++t) sum += kernel.k[8 - t] * plane.At(r - 1 + t / 3, q - 1 + t % 3);
  return sum;
}

/// The 3x3 values around each lane's column, in a row that Push moves down by one.
template <typename T>
struct Window {
  Lanes<T> v[3][3];

  CAFFE_HOST_DEVICE void Push(const Band& band, const Lanes<T>& row) {
    CAFFE_UNROLL
    for (int i = 0; i < 2; ++i) {
      CAFFE_UNROLL
      for (int j = 0; j < 3; ++j) v[i][j] = v[i + 1][j];
    }
    v[2][0] = caffe::FromLane(row, -1);
    v[2][1] = row;
    v[2][2] = caffe::FromLane(row, 1);
    ForEachLane([&](int lane) {
      if (!band.has_left[lane]) v[2][0][lane] = T(0);
      if (!band.has_right[lane]) v[2][2][lane] = T(0);
    });
  }
  CAFFE_HOST_DEVICE T At(int t, int lane) const { return v[t / 3][t % 3][lane]; }

  /// kernel * plane at the middle.
  CAFFE_HOST_DEVICE T Stencil(const Kernel3x3<T>& kernel, int lane) const {
    T sum = 0;
    for (int t = 0; t < 9; ++t) sum += kernel.k[t] * At(t, lane);
    return sum;
  }
  /// The same with the kernel turned around: the gradient of Stencil.
  CAFFE_HOST_DEVICE T TurnedStencil(const Kernel3x3<T>& kernel, int lane) const {
    T sum = 0;
    for (int t = 0; t < 9; ++t) sum += kernel.k[8 - t] * At(t, lane);
    return sum;
  }
  /// Adds a kernel's gradient to sums[0..8]: that of the middle times what is around it.
  CAFFE_HOST_DEVICE void AddKernelGradient(T gradient, int lane, Lanes<T>* sums) const {
    for (int t = 0; t < 9; ++t) sums[t][lane] += gradient * At(t, lane);
  }
};

/// step(i) for i = 0 .. kCount - 1, unrolled: what stands in arrays of registers needs it.
template <int kCount, class Step>
CAFFE_HOST_DEVICE inline void Unrolled(const Step& step) {
  CAFFE_UNROLL
  for (int i = 0; i < kCount; ++i) step(i);
}

template <int kCount, typename T>
CAFFE_HOST_DEVICE inline void SetZero(Lanes<T>* values) {
  Unrolled<kCount>([&](int i) { ForEachLane([&](int lane) { values[i][lane] = T(0); }); });
}

/// Goes down the band: push(i) moves its windows on to the i-th of kBand + 2 rows, of which the
/// first is the one above the band; step(r, lane) when their middles are the band's row r.
template <class Push, class Step>
CAFFE_HOST_DEVICE inline void GoDown(const Band& band, const Push& push, const Step& step) {
  Unrolled<kBand + 2>([&](int i) {
    const int r = i - 2;
    push(i);
    if (r < 0 || r >= band.rows) return;
    ForEachLane([&](int lane) { step(r, lane); });
  });
}

/// take(plane, k, sum) for each of the band's planes and k < N: the sum of own[k] over the lanes
/// that own a column of it. Lanes add those at distance 1, then 2, 4, ... within their plane.
template <int N, typename T, class Take>
CAFFE_HOST_DEVICE inline void SumPlanes(const Bands& bands, const Band& band, Lanes<T>* own,
                                        const Take& take) {
  Lanes<int> column;
  ForEachLane([&](int lane) {
    column[lane] = bands.wide ? lane : band.w[lane];
    for (int k = 0; k < N; ++k) own[k][lane] = band.own[lane] ? own[k][lane] : T(0);
  });
  for (int distance = 1; distance < bands.pitch; distance *= 2) {
    Unrolled<N>([&](int k) {
      const Lanes<T> other = caffe::FromLane(own[k], distance);
      ForEachLane([&](int lane) {
        if (column[lane] + distance < bands.pitch) own[k][lane] += other[lane];
      });
    });
  }
  ForEachLane([&](int lane) {
    if (bands.wide ? lane > 0 : column[lane] > 0 || !band.inside[lane]) return;
    for (int k = 0; k < N; ++k) take(band.plane[lane], k, own[k][lane]);
  });
}

/// take(k, sum) for k < N: the sum of sums[k] over all lanes.
template <int N, typename T, class Take>
CAFFE_HOST_DEVICE inline void SumLanes(const Block& warp, const Lanes<T>* sums, T* scratch,
                                       const Take& take) {
  warp.Sums<N>(
      Block::kWarp, scratch,
      [&](int lane, T* own) {
        for (int k = 0; k < N; ++k) own[k] += sums[k][lane];
      },
      take);
}

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_METAPERTURB_GPU_BANDS_HPP_

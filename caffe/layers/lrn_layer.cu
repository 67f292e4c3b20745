#include <cmath>

#include "caffe/layers/lrn_layer.hpp"
#include "caffe/util/device_workspace.hpp"
#include "caffe/util/layer_kernels.hpp"

namespace caffe {

namespace {

// s^-beta; 3/4, what networks use, without pow.
template <typename Dtype>
CAFFE_HOST_DEVICE inline Dtype InversePower(Dtype s, Dtype beta) {
  if (beta != Dtype(0.75)) return std::pow(s, -beta);
  const Dtype root = std::sqrt(s);
  return 1 / (root * std::sqrt(root));
}

/// Sums over the window around an element of N x C x H x W.
struct Window {
  bool across;
  int radius;
  Divisor area_of, width_of, channels_of;
  int channels, height, width;
  Window(bool across_, int radius_, int channels_, int height_, int width_)
      : across(across_),
        radius(radius_),
        area_of(height_ * width_),
        width_of(width_),
        channels_of(channels_),
        channels(channels_),
        height(height_),
        width(width_) {}
  // Of an axis, within `radius` of `at`.
  static CAFFE_HOST_DEVICE int First(int at, int radius) { return at > radius ? at - radius : 0; }
  static CAFFE_HOST_DEVICE int Last(int at, int radius, int extent) {
    return at < extent - 1 - radius ? at + radius : extent - 1;
  }
  template <typename Dtype, class Term>
  CAFFE_HOST_DEVICE Dtype Sum(int i, const Term& term) const {
    const int plane = area_of.Quotient(i), pixel = area_of.Remainder(i), area = height * width;
    Dtype sum = 0;
    if (across) {
      const int c = channels_of.Remainder(plane);
      const int last = Last(c, radius, channels);
      for (int j = First(c, radius); j <= last; ++j) sum += term(i + (j - c) * area);
      return sum;
    }
    const int row = width_of.Quotient(pixel), column = width_of.Remainder(pixel);
    const int last_row = Last(row, radius, height), last_column = Last(column, radius, width);
    for (int h = First(row, radius); h <= last_row; ++h) {
      for (int w = First(column, radius); w <= last_column; ++w) {
        sum += term(i + (h - row) * width + w - column);
      }
    }
    return sum;
  }
};

template <typename Dtype>
struct LrnForward {
  Window window;
  Dtype k, weight, beta;
  const Dtype* x;
  Dtype *scale, *y;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const Dtype squares = window.Sum<Dtype>(i, [&](int j) { return x[j] * x[j]; });
    const Dtype s = k + weight * squares;
    scale[i] = s;
    y[i] = x[i] * InversePower(s, beta);
  }
};

// dy y / s; y by way of x: what follows may have changed the top in place.
template <typename Dtype>
struct Ratio {
  Dtype beta;
  const Dtype *x, *scale, *dy;
  Dtype* ratio;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    ratio[i] = dy[i] * InversePower(scale[i], beta) * x[i] / scale[i];
  }
};

template <typename Dtype>
struct LrnBackward {
  Window window;
  Dtype weight, beta;
  const Dtype *x, *scale, *ratio, *dy;
  Dtype* dx;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const Dtype* terms = ratio;
    const Dtype sum = window.Sum<Dtype>(i, [=](int j) { return terms[j]; });
    dx[i] = dy[i] * InversePower(scale[i], beta) - 2 * weight * beta * x[i] * sum;
  }
};

template <typename Dtype>
Window WindowOf(const Blob<Dtype>& shape, bool across, int radius) {
  return Window(across, radius, shape.channels(), shape.height(), shape.width());
}

}  // namespace

template <typename Dtype>
void LRNLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->gpu_data();
  ForEachIndex(bottom[0]->count(),
               LrnForward<Dtype>{WindowOf(*bottom[0], across_, radius_), k_, weight_, beta_, x,
                                 scale_.overwrite_gpu_data(), top[0]->overwrite_gpu_data()});
}

template <typename Dtype>
void LRNLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                   const vector<bool>& propagate_down,
                                   const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int count = bottom[0]->count();
  const Dtype *x = bottom[0]->gpu_data(), *dy = top[0]->gpu_diff(), *scale = scale_.gpu_data();
  DeviceWorkspace workspace;
  Dtype* ratio = workspace.Get<Dtype>(count);
  ForEachIndex(count, Ratio<Dtype>{beta_, x, scale, dy, ratio});
  ForEachIndex(count, LrnBackward<Dtype>{WindowOf(*bottom[0], across_, radius_), weight_, beta_, x,
                                         scale, ratio, dy, bottom[0]->overwrite_gpu_diff()});
}

INSTANTIATE_LAYER_GPU_FUNCS(LRNLayer);

}  // namespace caffe

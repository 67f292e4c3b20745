#include "caffe/layers/depthwise_gradient.hpp"

#include <algorithm>
#include <cstddef>

#include "caffe/util/vector_lanes.hpp"

namespace caffe {

namespace {

// Along one axis, the outputs [begin, end) that an element of the kernel takes from pixels within
// the image, and the first of these pixels.
struct Reach {
  int begin, end, pixel;
};

Reach ReachOf(int element, int dilation, int pad, int stride, int pixels, int outputs) {
  const int offset = element * dilation - pad;  // output o takes pixel o * stride + offset
  const int begin = offset < 0 ? (stride - 1 - offset) / stride : 0;
  const int end = offset < pixels ? std::min(outputs, (pixels - 1 - offset) / stride + 1) : 0;
  return {begin, end, begin * stride + offset};
}

struct Arrays {
  const float *x, *dy;
  float *dw, *db;
};

// The channels of one group.
template <int kLanes>
CAFFE_INLINE void GroupBody(const ConvGeometry& g, const Arrays& a, int group) {
  typedef VectorOf<kLanes, float> V;
  const int groups = (g.in_channels + kLanes - 1) / kLanes;
  const int channels = std::min(kLanes, g.in_channels - group * kLanes);
  const size_t pixels = size_t(g.in_h) * g.in_w, outputs = size_t(g.out_h) * g.out_w;
  const auto x_of = [&](int n) { return a.x + (size_t(n) * groups + group) * pixels * kLanes; };
  const auto dy_of = [&](int n) { return a.dy + (size_t(n) * groups + group) * outputs * kLanes; };
  for (int i = 0; a.dw && i < g.kernel_h; ++i) {
    const Reach rows = ReachOf(i, g.dilation_h, g.pad_h, g.stride_h, g.in_h, g.out_h);
    for (int j = 0; j < g.kernel_w; ++j) {
      const Reach columns = ReachOf(j, g.dilation_w, g.pad_w, g.stride_w, g.in_w, g.out_w);
      typename V::Vector sum = {};
      for (int n = 0; n < g.num; ++n) {
        for (int h = rows.begin; h < rows.end; ++h) {
          const int row = rows.pixel + (h - rows.begin) * g.stride_h;
          const float* x = x_of(n) + (size_t(row) * g.in_w + columns.pixel) * kLanes;
          const float* dy = dy_of(n) + size_t(h) * g.out_w * kLanes;
          for (int w = columns.begin; w < columns.end; ++w, x += g.stride_w * kLanes) {
            sum += V::Load(x) * V::Load(dy + w * kLanes);
          }
        }
      }
      float* dw = a.dw + (size_t(group) * kLanes * g.kernel_h + i) * g.kernel_w + j;
      for (int c = 0; c < channels; ++c) dw[c * g.kernel_h * g.kernel_w] += sum[c];
    }
  }
  if (!a.db) return;
  typename V::Vector sum = {};
  for (int n = 0; n < g.num; ++n) {
    for (size_t o = 0; o < outputs; ++o) sum += V::Load(dy_of(n) + o * kLanes);
  }
  for (int c = 0; c < channels; ++c) a.db[group * kLanes + c] += sum[c];
}

CAFFE_VECTOR_CLONES void Group(int block, const ConvGeometry& g, const Arrays& a, int group) {
  CAFFE_BY_LANES(block, GroupBody, g, a, group)
}

}  // namespace

bool IsDepthwise(const ConvGeometry& g) {
  return g.group == g.in_channels && g.group == g.out_channels;
}

void AddDepthwiseGradient(const ConvGeometry& g, int block, const float* x, const float* dy,
                          float* dw, float* db) {
  const Arrays arrays = {x, dy, dw, db};
  const int groups = (g.in_channels + block - 1) / block;
#pragma omp parallel for schedule(static)
  for (int group = 0; group < groups; ++group) Group(block, g, arrays, group);
}

}  // namespace caffe

#include "caffe/layers/pooling_layer.hpp"
#include "caffe/util/device_launch.hpp"

namespace caffe {

namespace {

template <typename Dtype>
struct ForwardMax {
  PoolingAxis rows, columns;
  const Dtype* x;
  Dtype* y;
  int* argmax;
  Dtype* mask;  // argmax for the second top, or null
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int plane = i / columns.windows / rows.windows;
    const PoolingAxis::Window h = rows.At(i / columns.windows % rows.windows);
    const PoolingAxis::Window w = columns.At(i % columns.windows);
    const Dtype* image = x + int64_t{plane} * rows.pixels * columns.pixels;
    int best_at = h.begin * columns.pixels + w.begin;
    Dtype best = image[best_at];
    for (int r = h.begin; r < h.end; ++r) {
      for (int c = w.begin; c < w.end; ++c) {
        const int at = r * columns.pixels + c;
        if (image[at] > best) {
          best = image[at];
          best_at = at;
        }
      }
    }
    y[i] = best;
    argmax[i] = best_at;
    if (mask) mask[i] = Dtype(best_at);
  }
};

template <typename Dtype>
struct ForwardAverage {
  PoolingAxis rows, columns;
  const Dtype* x;
  Dtype* y;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int plane = i / columns.windows / rows.windows;
    const PoolingAxis::Window h = rows.At(i / columns.windows % rows.windows);
    const PoolingAxis::Window w = columns.At(i % columns.windows);
    const Dtype* image = x + int64_t{plane} * rows.pixels * columns.pixels;
    Dtype sum = 0;
    for (int r = h.begin; r < h.end; ++r) {
      for (int c = w.begin; c < w.end; ++c) sum += image[r * columns.pixels + c];
    }
    y[i] = sum / (h.extent * w.extent);
  }
};

// The gradients: each pixel collects those of the windows that contain it, in their order.

template <typename Dtype>
struct BackwardMax {
  PoolingAxis rows, columns;
  const Dtype* dy;
  const int* argmax;
  Dtype* dx;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int area = rows.pixels * columns.pixels;
    const int own = i % area, r = own / columns.pixels, c = own % columns.pixels;
    const int64_t plane = int64_t{i / area} * rows.windows * columns.windows;
    Dtype sum = 0;
    for (int h = rows.First(r); h < rows.Last(r); ++h) {
      for (int w = columns.First(c); w < columns.Last(c); ++w) {
        const int64_t at = plane + h * columns.windows + w;
        if (argmax[at] == own) sum += dy[at];
      }
    }
    dx[i] = sum;
  }
};

template <typename Dtype>
struct BackwardAverage {
  PoolingAxis rows, columns;
  const Dtype* dy;
  Dtype* dx;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int area = rows.pixels * columns.pixels;
    const int r = i % area / columns.pixels, c = i % columns.pixels;
    const int64_t plane = int64_t{i / area} * rows.windows * columns.windows;
    Dtype sum = 0;
    for (int h = rows.First(r); h < rows.Last(r); ++h) {
      for (int w = columns.First(c); w < columns.Last(c); ++w) {
        sum += dy[plane + h * columns.windows + w] / (rows.At(h).extent * columns.At(w).extent);
      }
    }
    dx[i] = sum;
  }
};

}  // namespace

template <typename Dtype>
void PoolingLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const int count = top[0]->count();
  const Dtype* x = bottom[0]->gpu_data();
  Dtype* y = top[0]->overwrite_gpu_data();
  if (!is_max_) {
    ForEachIndex(count, ForwardAverage<Dtype>{rows_, columns_, x, y});
    return;
  }
  const size_t bytes = count * sizeof(int);
  if (!gpu_argmax_ || gpu_argmax_->size() < bytes) gpu_argmax_.reset(new SyncedMemory(bytes));
  int* argmax = static_cast<int*>(gpu_argmax_->overwrite_gpu_data());
  Dtype* mask = top.size() > 1 ? top[1]->overwrite_gpu_data() : nullptr;
  ForEachIndex(count, ForwardMax<Dtype>{rows_, columns_, x, y, argmax, mask});
}

template <typename Dtype>
void PoolingLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int count = bottom[0]->count();
  const Dtype* dy = top[0]->gpu_diff();
  Dtype* dx = bottom[0]->overwrite_gpu_diff();
  if (!is_max_) {
    ForEachIndex(count, BackwardAverage<Dtype>{rows_, columns_, dy, dx});
    return;
  }
  CHECK(gpu_argmax_ && gpu_argmax_->size() >= top[0]->count() * sizeof(int))
      << "Backward without its Forward";
  const int* argmax = static_cast<const int*>(gpu_argmax_->gpu_data());
  ForEachIndex(count, BackwardMax<Dtype>{rows_, columns_, dy, argmax, dx});
}

INSTANTIATE_LAYER_GPU_FUNCS(PoolingLayer);

}  // namespace caffe

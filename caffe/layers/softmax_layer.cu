#include "caffe/layers/softmax_layer.hpp"
#include "caffe/util/device_launch.hpp"

namespace caffe {

namespace {

// A block per position: classes at distance `inner`.

template <typename Dtype>
struct SoftmaxForward {
  int classes, inner;
  const Dtype* x;
  Dtype* y;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int64_t at = int64_t{block.index() / inner} * classes * inner + block.index() % inner;
    const Dtype* in = x + at;
    Dtype* out = y + at;
    const int step = inner, count = classes;
    // Minus the largest, so that no exponential overflows.
    const int parts = classes < Block::kWarp ? classes : int{Block::kWarp};
    Dtype* largest_of = block.Shared<Dtype>(Block::kWarp);
    block.Run(parts, [=](int part) {
      Dtype largest = in[int64_t{part} * step];
      for (int c = part + parts; c < count; c += parts) {
        const Dtype value = in[int64_t{c} * step];
        largest = largest < value ? value : largest;
      }
      largest_of[part] = largest;
    });
    Dtype largest = largest_of[0];
    for (int part = 1; part < parts; ++part) {
      largest = largest < largest_of[part] ? largest_of[part] : largest;
    }
    const Dtype sum =
        block.Sum<Dtype>(classes, [=](int c) { return std::exp(in[int64_t{c} * step] - largest); });
    block.Run(classes, [=](int c) {
      out[int64_t{c} * step] = std::exp(in[int64_t{c} * step] - largest) / sum;
    });
  }
};

template <typename Dtype>
struct SoftmaxBackward {
  int classes, inner;
  const Dtype *y, *dy;
  Dtype* dx;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int64_t begin = int64_t{block.index() / inner} * classes * inner + block.index() % inner;
    const Dtype dot = block.Sum<Dtype>(classes, [&](int c) {
      const int64_t at = begin + int64_t{c} * inner;
      return dy[at] * y[at];
    });
    block.Run(classes, [&](int c) {
      const int64_t at = begin + int64_t{c} * inner;
      dx[at] = y[at] * (dy[at] - dot);
    });
  }
};

int Threads(int classes) {
  return classes > 256 ? 128 : 32;
}

}  // namespace

template <typename Dtype>
void SoftmaxLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const int classes = bottom[0]->shape(axis_), inner = bottom[0]->count(axis_ + 1);
  const Dtype* x = bottom[0]->gpu_data();
  ForEachBlock(bottom[0]->count(0, axis_) * inner, Threads(classes), Block::kWarp * sizeof(Dtype),
               SoftmaxForward<Dtype>{classes, inner, x, top[0]->overwrite_gpu_data()});
}

template <typename Dtype>
void SoftmaxLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int classes = bottom[0]->shape(axis_), inner = bottom[0]->count(axis_ + 1);
  const Dtype *y = top[0]->gpu_data(), *dy = top[0]->gpu_diff();
  ForEachBlock(bottom[0]->count(0, axis_) * inner, Threads(classes), 0,
               SoftmaxBackward<Dtype>{classes, inner, y, dy, bottom[0]->overwrite_gpu_diff()});
}

INSTANTIATE_LAYER_GPU_FUNCS(SoftmaxLayer);

}  // namespace caffe

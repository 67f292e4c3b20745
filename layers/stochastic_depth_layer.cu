#include "caffe/util/layer_kernels.hpp"
#include "layers/gpu_blobs.hpp"
#include "layers/stochastic_depth_layer.hpp"

namespace caffe {

namespace {

template <typename Dtype>
struct DrawFactor {
  uint64_t key, pass;
  double below;  // the survival probability times 2^32
  bool per_image;
  Dtype* factors;
  CAFFE_HOST_DEVICE void operator()(int n) const {
    const Philox bits = Philox::At(key, per_image ? static_cast<uint32_t>(n) : 0, 0,
                                   static_cast<uint32_t>(pass), static_cast<uint32_t>(pass >> 32));
    factors[n] = bits.v[0] < below ? 1 : 0;
  }
};

template <typename Dtype>
struct MultiplyImage {
  Divisor image;
  const Dtype* factors;
  const Dtype* from;
  Dtype* to;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const Dtype factor = factors[image.Quotient(i)];
    to[i] = factor == 0 ? Dtype(0) : factor * from[i];
  }
};

}  // namespace

// `to` may be `from`.
template <typename Dtype>
void StochasticDepthLayer<Dtype>::MultiplyOnGpu(const Blob<Dtype>& shape, const Dtype* from,
                                                Dtype* to) const {
  const int size = shape.count(1);
  ForEachIndex(shape.count(), MultiplyImage<Dtype>{Divisor(size), GpuData(gpu_factors_), from, to});
}

template <typename Dtype>
void StochasticDepthLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                              const vector<Blob<Dtype>*>& top) {
  this->BeginPass();
  const int num = bottom[0]->shape(0);
  const double p = param_.survival_prob();
  gpu_factors_.Reshape(vector<int>{num});
  Dtype* factors = OverwriteGpuData(&gpu_factors_);
  if (this->phase_ == TRAIN) {
    ForEachIndex(num, DrawFactor<Dtype>{this->noise_key(), this->noise_pass(), p * 4294967296.0,
                                        param_.per_image(), factors});
  } else {
    SetAll(num, static_cast<Dtype>(p), factors);
  }
  const Dtype* x = GpuData(*bottom[0]);
  MultiplyOnGpu(*bottom[0], x, OverwriteGpuData(top[0]));
}

template <typename Dtype>
void StochasticDepthLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                               const vector<bool>& propagate_down,
                                               const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype* dy = GpuDiff(*top[0]);
  MultiplyOnGpu(*bottom[0], dy, OverwriteGpuDiff(bottom[0]));
}

INSTANTIATE_LAYER_GPU_FUNCS(StochasticDepthLayer);

}  // namespace caffe

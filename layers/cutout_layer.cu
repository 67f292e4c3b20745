#include "caffe/util/layer_kernels.hpp"
#include "layers/cutout_layer.hpp"
#include "layers/gpu_blobs.hpp"

namespace caffe {

namespace {

// i counts the pixels of the batch; each draws its image's square anew.
template <typename Dtype>
struct CutPixel {
  uint64_t key, pass;
  int64_t length;
  Divisor area, width_of;
  int channels, height, width;
  const Dtype* from;
  Dtype* to;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int n = area.Quotient(i), pixel = area.Remainder(i);
    const int h = width_of.Quotient(pixel), w = width_of.Remainder(pixel);
    const Philox bits = Philox::At(key, static_cast<uint32_t>(n), 0, static_cast<uint32_t>(pass),
                                   static_cast<uint32_t>(pass >> 32));
    const int64_t top = int64_t(uint64_t{bits.v[0]} * height >> 32) - length / 2;
    const int64_t left = int64_t(uint64_t{bits.v[1]} * width >> 32) - length / 2;
    const bool cut = h >= top && h < top + length && w >= left && w < left + length;
    const size_t step = size_t(height) * width;
    size_t at = n * channels * step + pixel;
    for (int c = 0; c < channels; ++c, at += step) to[at] = cut ? Dtype(0) : from[at];
  }
};

}  // namespace

// `to` may be `from`.
template <typename Dtype>
void CutoutLayer<Dtype>::CutOnGpu(const Blob<Dtype>& shape, const Dtype* from, Dtype* to) const {
  if (this->phase_ == TEST) {
    if (from != to) Device::Get().CopyInDevice(to, from, shape.count() * sizeof(Dtype));
    return;
  }
  if (shape.count() == 0) return;
  const int height = shape.height(), width = shape.width(), area = height * width;
  ForEachIndex(
      shape.num() * area,
      CutPixel<Dtype>{this->noise_key(), this->noise_pass(), int64_t(param_.length()),
                      Divisor(area), Divisor(width), shape.channels(), height, width, from, to});
}

template <typename Dtype>
void CutoutLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  this->BeginPass();
  const Dtype* x = GpuData(*bottom[0]);
  CutOnGpu(*bottom[0], x, OverwriteGpuData(top[0]));
}

template <typename Dtype>
void CutoutLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                      const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype* dy = GpuDiff(*top[0]);
  CutOnGpu(*bottom[0], dy, OverwriteGpuDiff(bottom[0]));
}

INSTANTIATE_LAYER_GPU_FUNCS(CutoutLayer);

}  // namespace caffe

#include "caffe/layers/dropout_layer.hpp"
#include "caffe/util/layer_kernels.hpp"
#include "util/philox.hpp"

namespace caffe {

namespace {

// i counts what one Philox counter is for: a position of up to four channels.
template <typename Dtype>
struct DropQuad {
  uint64_t key, pass;
  uint32_t threshold;
  Dtype kept;
  Divisor pixels, quads;
  int channels, spatial;
  const Dtype* from;
  Dtype* to;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int row = pixels.Quotient(i), c = 4 * quads.Remainder(row), n = quads.Quotient(row);
    const int lanes = channels - c < 4 ? channels - c : 4;
    const Philox bits = Philox::At(key, static_cast<uint32_t>(i), 0, static_cast<uint32_t>(pass),
                                   static_cast<uint32_t>(pass >> 32));
    size_t at = (size_t(n) * channels + c) * spatial + pixels.Remainder(i);
    for (int l = 0; l < lanes; ++l, at += spatial) {
      to[at] = bits.v[l] < threshold ? Dtype(0) : from[at] * kept;
    }
  }
};

}  // namespace

template <typename Dtype>
void DropoutLayer<Dtype>::DropOnGpu(const ChannelBlocks& layout, const Dtype* from,
                                    Dtype* to) const {
  if (this->phase_ == TEST) {
    if (from != to) Device::Get().CopyInDevice(to, from, layout.count() * sizeof(Dtype));
    return;
  }
  const int quads = (layout.channels + 3) / 4;
  ForEachIndex(layout.num * quads * layout.spatial,
               DropQuad<Dtype>{this->random_key(), this->pass(), Threshold(), Kept(),
                               Divisor(layout.spatial), Divisor(quads), layout.channels,
                               layout.spatial, from, to});
}

template <typename Dtype>
void DropoutLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->gpu_data();
  DropOnGpu(bottom[0]->Blocks(1), x, top[0]->overwrite_gpu_data());
}

template <typename Dtype>
void DropoutLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype* dy = top[0]->gpu_diff();
  DropOnGpu(bottom[0]->Blocks(1), dy, bottom[0]->overwrite_gpu_diff());
}

INSTANTIATE_LAYER_GPU_FUNCS(DropoutLayer);

}  // namespace caffe

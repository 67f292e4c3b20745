#include "caffe/layers/prelu_layer.hpp"
#include "caffe/util/channel_kernels.hpp"
#include "caffe/util/layer_kernels.hpp"

namespace caffe {

namespace {

template <typename Dtype>
struct PreluForward {
  ChannelIndex channel;
  bool shared;
  const Dtype* slope;
  const Dtype* x;
  Dtype* kept;  // gets x; may be null
  Dtype* y;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const Dtype value = x[i];
    if (kept) kept[i] = value;
    y[i] = value > 0 ? value : slope[shared ? 0 : channel(i)] * value;
  }
};

template <typename Dtype>
struct PreluBackward {
  ChannelIndex channel;
  bool shared;
  const Dtype *slope, *x, *dy;
  Dtype* dx;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    dx[i] = x[i] > 0 ? dy[i] : slope[shared ? 0 : channel(i)] * dy[i];
  }
};

template <typename Dtype>
struct SlopeTerms {
  const Dtype *x, *dy;
  CAFFE_HOST_DEVICE void operator()(int, int i, Dtype* pair) const {
    pair[0] += x[i] > 0 ? Dtype(0) : dy[i] * x[i];
  }
};

template <typename Dtype>
struct AddToSlope {
  Dtype* da;
  CAFFE_HOST_DEVICE void operator()(int c, double sum, double) const {
    da[c] = static_cast<Dtype>(da[c] + sum);
  }
};

}  // namespace

template <typename Dtype>
void PReLULayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->gpu_data();
  Dtype* kept = nullptr;
  if (bottom[0] == top[0]) {
    input_.ReshapeLike(*bottom[0]);
    kept = input_.overwrite_gpu_data();
  }
  ForEachIndex(bottom[0]->count(), PreluForward<Dtype>{ChannelIndex(bottom[0]->Blocks(1)),
                                                       channel_shared_, this->blobs_[0]->gpu_data(),
                                                       x, kept, top[0]->overwrite_gpu_data()});
}

template <typename Dtype>
void PReLULayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  const Dtype* x = (bottom[0] == top[0] ? &input_ : bottom[0])->gpu_data();
  const Dtype* dy = top[0]->gpu_diff();
  // Before dx, which in place is written over dy.
  if (this->param_propagate_down(0)) {
    ChannelBlocks layout = bottom[0]->Blocks(1);
    if (channel_shared_) {
      layout.num = layout.channels = 1;
      layout.spatial = bottom[0]->count();
    }
    SumChannels<Dtype>(layout, SlopeTerms<Dtype>{x, dy},
                       AddToSlope<Dtype>{this->blobs_[0]->mutable_gpu_diff()});
  }
  if (!propagate_down[0]) return;
  ForEachIndex(
      bottom[0]->count(),
      PreluBackward<Dtype>{ChannelIndex(bottom[0]->Blocks(1)), channel_shared_,
                           this->blobs_[0]->gpu_data(), x, dy, bottom[0]->overwrite_gpu_diff()});
}

INSTANTIATE_LAYER_GPU_FUNCS(PReLULayer);

}  // namespace caffe

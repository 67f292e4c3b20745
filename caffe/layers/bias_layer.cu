#include "caffe/layers/bias_layer.hpp"
#include "caffe/layers/channel_parameter.hpp"
#include "caffe/util/channel_kernels.hpp"
#include "caffe/util/layer_kernels.hpp"

namespace caffe {

namespace {

template <typename Dtype>
struct BiasForward {
  ChannelIndex channel;
  const Dtype *beta, *x;
  Dtype* y;
  CAFFE_HOST_DEVICE void operator()(int i) const { y[i] = x[i] + beta[channel(i)]; }
};

template <typename Dtype>
struct BiasGradientTerms {
  const Dtype* dy;
  CAFFE_HOST_DEVICE void operator()(int, int i, Dtype* pair) const { pair[0] += dy[i]; }
};

// A parameter's gradient is added to, a bottom's overwritten.
template <typename Dtype>
struct StoreGradient {
  bool add;
  Dtype* diff;
  CAFFE_HOST_DEVICE void operator()(int c, double sum, double) const {
    diff[c] = static_cast<Dtype>(sum + (add ? diff[c] : Dtype(0)));
  }
};

}  // namespace

template <typename Dtype>
void BiasLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const Blob<Dtype>& beta = Beta(bottom);
  const ChannelIndex channel(SpreadLayout(*bottom[0], beta, axis_, 1));
  const Dtype* x = bottom[0]->gpu_data();
  ForEachIndex(bottom[0]->count(),
               BiasForward<Dtype>{channel, beta.gpu_data(), x, top[0]->overwrite_gpu_data()});
}

template <typename Dtype>
void BiasLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  const ChannelBlocks layout = SpreadLayout(*bottom[0], Beta(bottom), axis_, 1);
  const Dtype* dy = top[0]->gpu_diff();
  const bool own = bottom.size() == 1;
  if (own ? this->param_propagate_down_[0] : propagate_down[1]) {
    Dtype* diff = own ? this->blobs_[0]->mutable_gpu_diff() : bottom[1]->overwrite_gpu_diff();
    SumChannels<Dtype>(layout, BiasGradientTerms<Dtype>{dy}, StoreGradient<Dtype>{own, diff});
  }
  if (propagate_down[0] && bottom[0] != top[0]) {
    Device::Get().CopyInDevice(bottom[0]->overwrite_gpu_diff(), dy,
                               bottom[0]->count() * sizeof(Dtype));
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(BiasLayer);

}  // namespace caffe

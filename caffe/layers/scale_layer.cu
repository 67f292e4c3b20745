#include "caffe/layers/channel_parameter.hpp"
#include "caffe/layers/scale_layer.hpp"
#include "caffe/util/channel_kernels.hpp"
#include "caffe/util/layer_kernels.hpp"

namespace caffe {

namespace {

template <typename Dtype>
struct ScaleForward {
  ChannelIndex channel;
  const Dtype *gamma, *beta;  // beta may be null
  const Dtype* x;
  Dtype* kept;  // gets x; may be null
  Dtype* y;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int c = channel(i);
    const Dtype value = x[i];
    if (kept) kept[i] = value;
    y[i] = gamma[c] * value + (beta ? beta[c] : Dtype(0));
  }
};

template <typename Dtype>
struct ScaleGradientTerms {
  const Dtype *x, *dy;
  CAFFE_HOST_DEVICE void operator()(int, int i, Dtype* pair) const {
    pair[0] += dy[i];
    pair[1] += dy[i] * x[i];
  }
};

// A parameter's gradient is added to, a bottom's overwritten.
template <typename Dtype>
struct StoreGradients {
  bool add_to_gamma;
  Dtype *gamma, *beta;  // the diffs; null where there is none to compute
  CAFFE_HOST_DEVICE void operator()(int c, double sum, double dot) const {
    if (gamma) gamma[c] = static_cast<Dtype>(dot + (add_to_gamma ? gamma[c] : Dtype(0)));
    if (beta) beta[c] = static_cast<Dtype>(sum + beta[c]);
  }
};

template <typename Dtype>
struct ScaleBackward {
  ChannelIndex channel;
  const Dtype *gamma, *dy;
  Dtype* dx;
  CAFFE_HOST_DEVICE void operator()(int i) const { dx[i] = gamma[channel(i)] * dy[i]; }
};

}  // namespace

template <typename Dtype>
void ScaleLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const Blob<Dtype>& gamma = Gamma(bottom);
  const ChannelIndex channel(SpreadLayout(*bottom[0], gamma, axis_, 1));
  const Dtype* beta = beta_ >= 0 ? this->blobs_[beta_]->gpu_data() : nullptr;
  const Dtype* x = bottom[0]->gpu_data();
  Dtype* kept = nullptr;
  if (bottom[0] == top[0]) {
    original_.ReshapeLike(*bottom[0]);
    kept = original_.overwrite_gpu_data();
  }
  ForEachIndex(bottom[0]->count(), ScaleForward<Dtype>{channel, gamma.gpu_data(), beta, x, kept,
                                                       top[0]->overwrite_gpu_data()});
}

template <typename Dtype>
void ScaleLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  const bool in_place = bottom[0] == top[0], own_gamma = bottom.size() == 1;
  const Blob<Dtype>& gamma = Gamma(bottom);
  const ChannelBlocks layout = SpreadLayout(*bottom[0], gamma, axis_, 1);
  const Dtype* dy = top[0]->gpu_diff();
  Dtype *gamma_diff = nullptr, *beta_diff = nullptr;
  if (own_gamma) {
    if (this->param_propagate_down_[0]) gamma_diff = this->blobs_[0]->mutable_gpu_diff();
  } else if (propagate_down[1]) {
    gamma_diff = bottom[1]->overwrite_gpu_diff();
  }
  if (beta_ >= 0 && this->param_propagate_down_[beta_]) {
    beta_diff = this->blobs_[beta_]->mutable_gpu_diff();
  }
  if (gamma_diff || beta_diff) {
    const Dtype* x = in_place ? original_.gpu_data() : bottom[0]->gpu_data();
    SumChannels<Dtype>(layout, ScaleGradientTerms<Dtype>{x, dy},
                       StoreGradients<Dtype>{own_gamma, gamma_diff, beta_diff});
  }
  if (!propagate_down[0]) return;
  ForEachIndex(bottom[0]->count(), ScaleBackward<Dtype>{ChannelIndex(layout), gamma.gpu_data(), dy,
                                                        bottom[0]->overwrite_gpu_diff()});
}

INSTANTIATE_LAYER_GPU_FUNCS(ScaleLayer);

}  // namespace caffe

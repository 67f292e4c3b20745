#include "caffe/layers/euclidean_loss_layer.hpp"
#include "caffe/util/channel_kernels.hpp"

namespace caffe {

namespace {

template <typename Dtype>
struct SquareTerms {
  const Dtype *x, *t;
  CAFFE_HOST_DEVICE void operator()(int, int i, double* pair) const {
    const double difference = x[i] - t[i];
    pair[0] += difference * difference;
  }
};

template <typename Dtype>
struct StoreLoss {
  double divisor;
  Dtype* loss;
  CAFFE_HOST_DEVICE void operator()(int, double sum, double) const {
    *loss = static_cast<Dtype>(sum / divisor);
  }
};

template <typename Dtype>
struct EuclideanBackward {
  Dtype sign, num;
  const Dtype *dloss, *x, *t;
  Dtype* d;
  CAFFE_HOST_DEVICE void operator()(int i) const { d[i] = sign * dloss[0] / num * (x[i] - t[i]); }
};

}  // namespace

template <typename Dtype>
void EuclideanLossLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>& top) {
  ChannelBlocks whole;  // one channel
  whole.num = whole.channels = 1;
  whole.spatial = bottom[0]->count();
  const Dtype *x = bottom[0]->gpu_data(), *t = bottom[1]->gpu_data();
  SumChannels<double>(whole, SquareTerms<Dtype>{x, t},
                      StoreLoss<Dtype>{2.0 * bottom[0]->shape(0), top[0]->overwrite_gpu_data()});
}

template <typename Dtype>
void EuclideanLossLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                             const vector<bool>& propagate_down,
                                             const vector<Blob<Dtype>*>& bottom) {
  const Dtype* dloss = top[0]->gpu_diff();
  const Dtype *x = bottom[0]->gpu_data(), *t = bottom[1]->gpu_data();
  for (int j = 0; j < 2; ++j) {
    if (!propagate_down[j]) continue;
    ForEachIndex(bottom[0]->count(),
                 EuclideanBackward<Dtype>{Dtype(j == 0 ? 1 : -1), Dtype(bottom[0]->shape(0)), dloss,
                                          x, t, bottom[j]->overwrite_gpu_diff()});
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(EuclideanLossLayer);

}  // namespace caffe

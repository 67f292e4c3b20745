#include "caffe/layers/relu_layer.hpp"
#include "caffe/util/device_launch.hpp"

namespace caffe {

namespace {

template <typename Dtype>
struct ReluForward {
  Dtype slope;
  const Dtype* x;
  Dtype* y;
  CAFFE_HOST_DEVICE void operator()(int i) const { y[i] = x[i] > 0 ? x[i] : slope * x[i]; }
};

template <typename Dtype>
struct ReluBackward {
  Dtype slope;
  const Dtype *x, *dy;
  Dtype* dx;
  CAFFE_HOST_DEVICE void operator()(int i) const { dx[i] = x[i] > 0 ? dy[i] : slope * dy[i]; }
};

}  // namespace

template <typename Dtype>
void ReLULayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const Dtype slope = this->layer_param_.relu_param().negative_slope();
  const Dtype* x = bottom[0]->gpu_data();
  ForEachIndex(top[0]->count(), ReluForward<Dtype>{slope, x, top[0]->overwrite_gpu_data()});
}

template <typename Dtype>
void ReLULayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype slope = this->layer_param_.relu_param().negative_slope();
  const Dtype *x = bottom[0]->gpu_data(), *dy = top[0]->gpu_diff();
  ForEachIndex(bottom[0]->count(),
               ReluBackward<Dtype>{slope, x, dy, bottom[0]->overwrite_gpu_diff()});
}

INSTANTIATE_LAYER_GPU_FUNCS(ReLULayer);

}  // namespace caffe

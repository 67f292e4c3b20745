#include "caffe/layers/relu_layer.hpp"
#include "caffe/util/device_vectors.hpp"

namespace caffe {

namespace {

template <typename Dtype>
struct Relu {
  Dtype slope;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype x) const { return x > 0 ? x : slope * x; }
};

template <typename Dtype>
struct ReluGradient {
  Dtype slope;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype x, Dtype dy) const { return x > 0 ? dy : slope * dy; }
};

}  // namespace

template <typename Dtype>
void ReLULayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const Dtype slope = this->layer_param_.relu_param().negative_slope();
  const Dtype* x = bottom[0]->gpu_data();
  MapElements(top[0]->count(), Relu<Dtype>{slope}, x, top[0]->overwrite_gpu_data());
}

template <typename Dtype>
void ReLULayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype slope = this->layer_param_.relu_param().negative_slope();
  const Dtype *x = bottom[0]->gpu_data(), *dy = top[0]->gpu_diff();
  MapElements(bottom[0]->count(), ReluGradient<Dtype>{slope}, x, dy,
              bottom[0]->overwrite_gpu_diff());
}

INSTANTIATE_LAYER_GPU_FUNCS(ReLULayer);

}  // namespace caffe

#include "caffe/layers/relu_layer.hpp"

#include "caffe/util/channel_loops.hpp"

namespace caffe {

template <typename Dtype>
void ReLULayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  const float slope = this->layer_param_.relu_param().negative_slope();
  ENFORCE(slope >= 0 || bottom[0] != top[0])
      << "negative_slope is " << slope << ": below 0 it cannot work in place";
}

template <typename Dtype>
void ReLULayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const int block = bottom[0]->data_block();
  const Dtype* x = bottom[0]->cpu_data(block);
  Dtype* y =
      bottom[0] == top[0] ? top[0]->mutable_cpu_data(block) : top[0]->overwrite_cpu_data(block);
  ReluForward(top[0]->Blocks(block).count(),
              Dtype(this->layer_param_.relu_param().negative_slope()), x, y);
}

template <typename Dtype>
void ReLULayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int block = bottom[0]->data_block();
  const Dtype* x = bottom[0]->cpu_data(block);
  const Dtype* dy = top[0]->cpu_diff(block);
  Dtype* dx = bottom[0] == top[0] ? bottom[0]->mutable_cpu_diff(block)
                                  : bottom[0]->overwrite_cpu_diff(block);
  ReluBackward(top[0]->Blocks(block).count(),
               Dtype(this->layer_param_.relu_param().negative_slope()), x, dy, dx);
}

INSTANTIATE_CLASS(ReLULayer);
REGISTER_LAYER_CLASS(ReLU);

}  // namespace caffe

#include "caffe/layers/euclidean_loss_layer.hpp"

namespace caffe {

template <typename Dtype>
void EuclideanLossLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::Reshape(bottom, top);
  ENFORCE(bottom[0]->count(1) == bottom[1]->count(1))
      << "bottom 0 has shape " << bottom[0]->shape_string() << ", bottom 1 "
      << bottom[1]->shape_string();
}

template <typename Dtype>
void EuclideanLossLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->cpu_data();
  const Dtype* t = bottom[1]->cpu_data();
  double sum = 0;
  for (int i = 0; i < bottom[0]->count(); ++i) sum += double(x[i] - t[i]) * (x[i] - t[i]);
  top[0]->mutable_cpu_data()[0] = sum / (2 * bottom[0]->shape(0));
}

template <typename Dtype>
void EuclideanLossLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                             const vector<bool>& propagate_down,
                                             const vector<Blob<Dtype>*>& bottom) {
  for (int j = 0; j < 2; ++j) {
    if (!propagate_down[j]) continue;
    const Dtype factor = (j == 0 ? 1 : -1) * top[0]->cpu_diff()[0] / bottom[0]->shape(0);
    const Dtype* x = bottom[0]->cpu_data();
    const Dtype* t = bottom[1]->cpu_data();
    Dtype* d = bottom[j]->mutable_cpu_diff();
    for (int i = 0; i < bottom[0]->count(); ++i) d[i] = factor * (x[i] - t[i]);
  }
}

INSTANTIATE_CLASS(EuclideanLossLayer);
REGISTER_LAYER_CLASS(EuclideanLoss);

}  // namespace caffe

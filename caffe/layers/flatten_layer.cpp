#include "caffe/layers/flatten_layer.hpp"

#include "caffe/util/device.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
void FlattenLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  this->RefuseInPlace(bottom, top);
  const FlattenParameter& param = this->layer_param_.flatten_param();
  const int first = bottom[0]->CanonicalAxisIndex(param.axis());
  const int last = bottom[0]->CanonicalAxisIndex(param.end_axis());
  ENFORCE(first <= last) << "axis " << first << " lies behind end_axis " << last;
  vector<int> shape(bottom[0]->shape().begin(), bottom[0]->shape().begin() + first);
  shape.push_back(bottom[0]->count(first, last + 1));
  shape.insert(shape.end(), bottom[0]->shape().begin() + last + 1, bottom[0]->shape().end());
  top[0]->Reshape(shape);
}

template <typename Dtype>
void FlattenLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  caffe_copy(top[0]->count(), bottom[0]->cpu_data(), top[0]->overwrite_cpu_data(1));
}

template <typename Dtype>
void FlattenLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  caffe_copy(top[0]->count(), top[0]->cpu_diff(), bottom[0]->overwrite_cpu_diff(1));
}

template <typename Dtype>
void FlattenLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->gpu_data();
  Device::Get().CopyInDevice(top[0]->overwrite_gpu_data(), x, top[0]->count() * sizeof(Dtype));
}

template <typename Dtype>
void FlattenLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype* dy = top[0]->gpu_diff();
  Device::Get().CopyInDevice(bottom[0]->overwrite_gpu_diff(), dy, top[0]->count() * sizeof(Dtype));
}

INSTANTIATE_CLASS(FlattenLayer);
REGISTER_LAYER_CLASS(Flatten);

}  // namespace caffe

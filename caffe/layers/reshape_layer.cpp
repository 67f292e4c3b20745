#include "caffe/layers/reshape_layer.hpp"

#include "caffe/util/device.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
void ReshapeLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  this->RefuseInPlace(bottom, top);
  const ReshapeParameter& param = this->layer_param_.reshape_param();
  const int axes = bottom[0]->num_axes();
  const int first = param.axis() >= 0 ? param.axis() : axes + param.axis() + 1;
  ENFORCE(first >= 0 && first <= axes && param.num_axes() >= -1 && param.num_axes() <= axes - first)
      << "axis " << param.axis() << " and num_axes " << param.num_axes()
      << " do not fit the bottom's shape " << bottom[0]->shape_string();
  const int last = param.num_axes() < 0 ? axes : first + param.num_axes();
  vector<int> shape(bottom[0]->shape().begin(), bottom[0]->shape().begin() + first);
  int inferred = -1;
  int64_t known = 1;
  for (int i = 0; i < param.shape().dim_size(); ++i) {
    ENFORCE(param.shape().dim(i) >= -1 && param.shape().dim(i) <= INT_MAX)
        << "reshape_param: dim " << param.shape().dim(i);
    const int dim = static_cast<int>(param.shape().dim(i));
    if (dim == -1) {
      ENFORCE(inferred < 0) << "reshape_param: more than one dim is -1";
      inferred = static_cast<int>(shape.size());
      shape.push_back(1);
    } else if (dim == 0) {
      ENFORCE(first + i < axes) << "reshape_param: dim " << i
                                << " is 0, but the bottom has no axis there";
      shape.push_back(bottom[0]->shape(first + i));
    } else {
      shape.push_back(dim);
    }
  }
  shape.insert(shape.end(), bottom[0]->shape().begin() + last, bottom[0]->shape().end());
  for (int extent : shape) known *= extent;
  if (inferred >= 0 && known > 0) {
    ENFORCE(bottom[0]->count() % known == 0)
        << "the bottom's shape " << bottom[0]->shape_string() << " is no multiple of " << known;
    shape[inferred] = static_cast<int>(bottom[0]->count() / known);
    known = bottom[0]->count();
  }
  ENFORCE(known == bottom[0]->count())
      << "the new shape has " << known << " values, the bottom's " << bottom[0]->shape_string();
  top[0]->Reshape(shape);
}

template <typename Dtype>
void ReshapeLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  caffe_copy(top[0]->count(), bottom[0]->cpu_data(), top[0]->overwrite_cpu_data(1));
}

template <typename Dtype>
void ReshapeLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  caffe_copy(top[0]->count(), top[0]->cpu_diff(), bottom[0]->overwrite_cpu_diff(1));
}

template <typename Dtype>
void ReshapeLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->gpu_data();
  Device::Get().CopyInDevice(top[0]->overwrite_gpu_data(), x, top[0]->count() * sizeof(Dtype));
}

template <typename Dtype>
void ReshapeLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype* dy = top[0]->gpu_diff();
  Device::Get().CopyInDevice(bottom[0]->overwrite_gpu_diff(), dy, top[0]->count() * sizeof(Dtype));
}

INSTANTIATE_CLASS(ReshapeLayer);
REGISTER_LAYER_CLASS(Reshape);

}  // namespace caffe

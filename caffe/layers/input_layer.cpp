#include "caffe/layers/input_layer.hpp"

namespace caffe {

template <typename Dtype>
void InputLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>& top) {
  const InputParameter& param = this->layer_param_.input_param();
  const int tops = static_cast<int>(top.size()), shapes = param.shape_size();
  ENFORCE(shapes == 0 || shapes == 1 || shapes == tops)
      << "input_param has " << shapes << " shapes for " << tops << " tops; give one, or one each";
  for (int i = 0; shapes > 0 && i < tops; ++i) top[i]->Reshape(param.shape(shapes == 1 ? 0 : i));
}

template <typename Dtype>
void InputLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>& top) {
  for (size_t i = 0; i < top.size(); ++i) {
    ENFORCE(top[i]->num_axes() > 0 || top[i]->count() > 0)
        << "top " << i << " has no shape: give input_param { shape { } }, or reshape the blob";
  }
}

INSTANTIATE_CLASS(InputLayer);
REGISTER_LAYER_CLASS(Input);

}  // namespace caffe

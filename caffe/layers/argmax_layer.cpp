#include "caffe/layers/argmax_layer.hpp"

#include <algorithm>
#include <numeric>

namespace caffe {

template <typename Dtype>
void ArgMaxLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  this->RefuseInPlace(bottom, top);
}

template <typename Dtype>
void ArgMaxLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                 const vector<Blob<Dtype>*>& top) {
  const ArgMaxParameter& param = this->layer_param_.argmax_param();
  const int k = static_cast<int>(param.top_k());
  ENFORCE(bottom[0]->num_axes() > 0) << "the bottom has no axes";
  const int extent = param.has_axis() ? bottom[0]->shape(param.axis()) : bottom[0]->count(1);
  ENFORCE(k >= 1 && k <= extent) << "top_k " << k << " does not lie between 1 and " << extent;
  vector<int> shape = bottom[0]->shape();
  if (param.has_axis()) {
    shape[bottom[0]->CanonicalAxisIndex(param.axis())] = k;
  } else {
    shape = {bottom[0]->shape(0), param.out_max_val() ? 2 : 1, k};
    // As many axes as the bottom, where that has more than three.
    while (static_cast<int>(shape.size()) < bottom[0]->num_axes()) shape.push_back(1);
  }
  top[0]->Reshape(shape);
}

template <typename Dtype>
void ArgMaxLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  const ArgMaxParameter& param = this->layer_param_.argmax_param();
  const int k = static_cast<int>(param.top_k());
  const int axis = param.has_axis() ? bottom[0]->CanonicalAxisIndex(param.axis()) : 1;
  const int outer = bottom[0]->count(0, axis);
  const int extent = param.has_axis() ? bottom[0]->shape(axis) : bottom[0]->count(1);
  const int inner = param.has_axis() ? bottom[0]->count(axis + 1) : 1;
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  vector<int> order(extent);
  for (int n = 0; n < outer * inner; ++n) {
    const Dtype* values = x + size_t(n / inner) * extent * inner + n % inner;
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int a, int b) {
      const Dtype va = values[a * inner], vb = values[b * inner];
      return va > vb || (va == vb && a > b);
    });
    for (int j = 0; j < k; ++j) {
      const Dtype value = values[order[j] * inner];
      if (param.has_axis()) {
        y[(size_t(n / inner) * k + j) * inner + n % inner] =
            param.out_max_val() ? value : Dtype(order[j]);
      } else if (param.out_max_val()) {
        y[size_t(n) * 2 * k + j] = order[j];
        y[size_t(n) * 2 * k + k + j] = value;
      } else {
        y[size_t(n) * k + j] = order[j];
      }
    }
  }
}

template <typename Dtype>
void ArgMaxLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                      const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  (void)top;
  (void)bottom;
  ENFORCE(!propagate_down[0]) << "ArgMax has no gradient";
}

INSTANTIATE_CLASS(ArgMaxLayer);
REGISTER_LAYER_CLASS(ArgMax);

}  // namespace caffe

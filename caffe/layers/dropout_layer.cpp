#include "caffe/layers/dropout_layer.hpp"

#include <algorithm>

#include "caffe/util/math_functions.hpp"
#include "caffe/util/philox.hpp"

namespace caffe {

template <typename Dtype>
void DropoutLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) {
  const float ratio = this->layer_param_.dropout_param().dropout_ratio();
  ENFORCE(ratio > 0 && ratio < 1) << "dropout_ratio is " << ratio << "; it must lie in (0, 1)";
}

// body(i, factor of element i)
template <typename Dtype>
template <class Body>
void DropoutLayer<Dtype>::ForEachFactor(int count, const Body& body) const {
  const double ratio = this->layer_param_.dropout_param().dropout_ratio();
  const uint32_t threshold = static_cast<uint32_t>(ratio * 4294967296.0);
  const Dtype kept = Dtype(1 / (1 - ratio));
  const uint64_t key = this->random_key(), pass = this->pass();
#pragma omp parallel for schedule(static)
  for (int first = 0; first < count; first += 4) {
    const Philox bits = Philox::At(key, first / 4, 0, static_cast<uint32_t>(pass),
                                   static_cast<uint32_t>(pass >> 32));
    for (int i = first; i < std::min(first + 4, count); ++i) {
      body(i, bits.v[i - first] < threshold ? Dtype(0) : kept);
    }
  }
}

template <typename Dtype>
void DropoutLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  if (this->phase_ == TEST) {
    caffe_copy(top[0]->count(), x, y);
  } else {
    ForEachFactor(top[0]->count(), [=](int i, Dtype factor) { y[i] = x[i] * factor; });
  }
}

template <typename Dtype>
void DropoutLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  if (this->phase_ == TEST) {
    caffe_copy(top[0]->count(), dy, dx);
  } else {
    ForEachFactor(top[0]->count(), [=](int i, Dtype factor) { dx[i] = dy[i] * factor; });
  }
}

INSTANTIATE_CLASS(DropoutLayer);
REGISTER_LAYER_CLASS(Dropout);

}  // namespace caffe

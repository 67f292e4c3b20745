#include "caffe/layers/clip_layer.hpp"

#include <algorithm>
#include <cmath>

namespace caffe {

template <typename Dtype>
void ClipLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) {
  const ClipParameter& param = this->layer_param_.clip_param();
  ENFORCE(param.has_min() && param.has_max()) << "clip_param needs min and max";
  ENFORCE(param.min() <= param.max())
      << "clip_param.min " << param.min() << " exceeds max " << param.max();
}

template <typename Dtype>
void ClipLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const int count = bottom[0]->count();
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  const Dtype low = this->layer_param_.clip_param().min();
  const Dtype high = this->layer_param_.clip_param().max();
#pragma omp parallel for schedule(static)
  for (int i = 0; i < count; ++i) y[i] = x[i] < low ? low : x[i] > high ? high : x[i];
}

template <typename Dtype>
void ClipLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int count = bottom[0]->count();
  const Dtype* x = bottom[0]->cpu_data();
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  const Dtype low = this->layer_param_.clip_param().min();
  const Dtype high = this->layer_param_.clip_param().max();
#pragma omp parallel for schedule(static)
  for (int i = 0; i < count; ++i) dx[i] = x[i] < low || x[i] > high ? 0 : dy[i];
}

INSTANTIATE_CLASS(ClipLayer);
REGISTER_LAYER_CLASS(Clip);

}  // namespace caffe

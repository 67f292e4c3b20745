#include "caffe/layers/clip_layer.hpp"

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
  const Dtype low = this->layer_param_.clip_param().min();
  const Dtype high = this->layer_param_.clip_param().max();
  // Lanes beyond the last channel stay 0 where 0 is not clipped.
  const int block = low <= 0 && high >= 0 ? bottom[0]->data_block() : 1;
  const int64_t count = static_cast<int64_t>(top[0]->Blocks(block).count());
  const Dtype* x = bottom[0]->cpu_data(block);
  Dtype* y =
      bottom[0] == top[0] ? top[0]->mutable_cpu_data(block) : top[0]->overwrite_cpu_data(block);
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] < low ? low : x[i] > high ? high : x[i];
}

template <typename Dtype>
void ClipLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype low = this->layer_param_.clip_param().min();
  const Dtype high = this->layer_param_.clip_param().max();
  const bool in_place = bottom[0] == top[0];
  const int block = bottom[0]->data_block();
  const int64_t count = static_cast<int64_t>(top[0]->Blocks(block).count());
  const Dtype* x = bottom[0]->cpu_data(block);
  const Dtype* dy = top[0]->cpu_diff(block);
  Dtype* dx = in_place ? bottom[0]->mutable_cpu_diff(block) : bottom[0]->overwrite_cpu_diff(block);
  if (in_place) {
    // Only y is left, and an element at a limit has almost surely been clipped.
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count; ++i) dx[i] = x[i] <= low || x[i] >= high ? 0 : dy[i];
  } else {
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count; ++i) dx[i] = x[i] < low || x[i] > high ? 0 : dy[i];
  }
}

INSTANTIATE_CLASS(ClipLayer);
REGISTER_LAYER_CLASS(Clip);

}  // namespace caffe

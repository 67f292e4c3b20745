#include "caffe/layers/split_layer.hpp"

#include "caffe/util/channel_loops.hpp"
#include "caffe/util/device.hpp"

namespace caffe {

template <typename Dtype>
void SplitLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                const vector<Blob<Dtype>*>& top) {
  this->RefuseInPlace(bottom, top);
  for (Blob<Dtype>* blob : top) {
    blob->ReshapeLike(*bottom[0]);
    blob->ShareData(*bottom[0]);
  }
}

// The tops are the bottom's memory.
template <typename Dtype>
void SplitLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) {}

template <typename Dtype>
void SplitLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int block = top[0]->diff_block();
  const size_t count = bottom[0]->Blocks(block).count();
  const Dtype* first = top[0]->cpu_diff(block);
  Dtype* dx = bottom[0]->overwrite_cpu_diff(block);
  if (top.size() == 1) {
    CopyRange(count, first, dx);
    return;
  }
  WeightedSum(count, Dtype(1), first, Dtype(1), top[1]->cpu_diff(block), dx);
  for (size_t i = 2; i < top.size(); ++i) {
    WeightedSum(count, Dtype(1), static_cast<const Dtype*>(dx), Dtype(1), top[i]->cpu_diff(block),
                dx);
  }
}

template <typename Dtype>
void SplitLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int count = bottom[0]->count();
  const Dtype* sum = top[0]->gpu_diff();
  Dtype* dx = bottom[0]->overwrite_gpu_diff();
  if (top.size() == 1) Device::Get().CopyInDevice(dx, sum, count * sizeof(Dtype));
  for (size_t i = 1; i < top.size(); ++i) {
    caffe_gpu_add(count, sum, top[i]->gpu_diff(), dx);
    sum = dx;
  }
}

INSTANTIATE_CLASS(SplitLayer);
REGISTER_LAYER_CLASS(Split);

}  // namespace caffe

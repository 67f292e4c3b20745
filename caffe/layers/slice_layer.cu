#include "caffe/layers/slice_layer.hpp"
#include "caffe/util/layer_kernels.hpp"

namespace caffe {

template <typename Dtype>
void SliceLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  if (top[0] == bottom[0]) return;  // the only top
  const Dtype* x = bottom[0]->gpu_data();
  const int outer = bottom[0]->count(0, axis_), stride = bottom[0]->count(axis_);
  for (Blob<Dtype>* blob : top) {
    const int size = blob->count(axis_);
    CopyRows(outer, size, x, stride, blob->overwrite_gpu_data(), size);
    x += size;
  }
}

template <typename Dtype>
void SliceLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0] || top[0] == bottom[0]) return;
  Dtype* dx = bottom[0]->overwrite_gpu_diff();
  const int outer = bottom[0]->count(0, axis_), stride = bottom[0]->count(axis_);
  for (const Blob<Dtype>* blob : top) {
    const int size = blob->count(axis_);
    CopyRows(outer, size, blob->gpu_diff(), size, dx, stride);
    dx += size;
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(SliceLayer);

}  // namespace caffe

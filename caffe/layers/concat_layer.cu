#include "caffe/layers/concat_layer.hpp"
#include "caffe/util/layer_kernels.hpp"

namespace caffe {

template <typename Dtype>
void ConcatLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  if (top[0] == bottom[0]) return;  // the only bottom
  Dtype* y = top[0]->overwrite_gpu_data();
  const int outer = top[0]->count(0, axis_), stride = top[0]->count(axis_);
  for (const Blob<Dtype>* blob : bottom) {
    const int size = blob->count(axis_);
    CopyRows(outer, size, blob->gpu_data(), size, y, stride);
    y += size;
  }
}

template <typename Dtype>
void ConcatLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                      const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  if (top[0] == bottom[0]) return;
  const Dtype* dy = top[0]->gpu_diff();
  const int outer = top[0]->count(0, axis_), stride = top[0]->count(axis_);
  for (size_t i = 0; i < bottom.size(); ++i) {
    const int size = bottom[i]->count(axis_);
    if (propagate_down[i]) {
      CopyRows(outer, size, dy, stride, bottom[i]->overwrite_gpu_diff(), size);
    }
    dy += size;
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(ConcatLayer);

}  // namespace caffe

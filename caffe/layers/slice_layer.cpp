#include "caffe/layers/slice_layer.hpp"

#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
void SliceLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const SliceParameter& param = this->layer_param_.slice_param();
  if (top.size() > 1) this->RefuseInPlace(bottom, top);
  ENFORCE(!param.has_axis() || !param.has_slice_dim()) << "give axis or slice_dim, not both";
  axis_ = bottom[0]->CanonicalAxisIndex(param.has_slice_dim() ? static_cast<int>(param.slice_dim())
                                                              : param.axis());
  ENFORCE(param.slice_point_size() == 0 ||
          param.slice_point_size() == static_cast<int>(top.size()) - 1)
      << param.slice_point_size() << " slice_point entries for " << top.size() << " tops";
}

template <typename Dtype>
void SliceLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                const vector<Blob<Dtype>*>& top) {
  const SliceParameter& param = this->layer_param_.slice_param();
  const int extent = bottom[0]->shape(axis_), tops = static_cast<int>(top.size());
  ENFORCE(param.slice_point_size() > 0 || extent % tops == 0)
      << "axis " << axis_ << " of extent " << extent << " cannot be cut into " << tops
      << " equal parts";
  int from = 0;
  for (int i = 0; i < tops; ++i) {
    int to = param.slice_point_size() > 0
                 ? (i < tops - 1 ? static_cast<int>(param.slice_point(i)) : extent)
                 : (i + 1) * (extent / tops);
    ENFORCE(from < to && to <= extent)
        << "slice_point " << to << " does not lie between " << from << " and " << extent;
    vector<int> shape = bottom[0]->shape();
    shape[axis_] = to - from;
    top[i]->Reshape(shape);
    from = to;
  }
}

template <typename Dtype>
void SliceLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  if (top[0] == bottom[0]) return;  // the only top
  const Dtype* x = bottom[0]->cpu_data();
  const int outer = bottom[0]->count(0, axis_), stride = bottom[0]->count(axis_);
  for (Blob<Dtype>* blob : top) {
    const int size = blob->count(axis_);
    Dtype* y = blob->overwrite_cpu_data(1);
    for (int n = 0; n < outer; ++n) caffe_copy(size, x + size_t(n) * stride, y + size_t(n) * size);
    x += size;
  }
}

template <typename Dtype>
void SliceLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0] || top[0] == bottom[0]) return;
  Dtype* dx = bottom[0]->overwrite_cpu_diff(1);
  const int outer = bottom[0]->count(0, axis_), stride = bottom[0]->count(axis_);
  for (Blob<Dtype>* blob : top) {
    const int size = blob->count(axis_);
    const Dtype* dy = blob->cpu_diff();
    for (int n = 0; n < outer; ++n) {
      caffe_copy(size, dy + size_t(n) * size, dx + size_t(n) * stride);
    }
    dx += size;
  }
}

INSTANTIATE_CLASS(SliceLayer);
REGISTER_LAYER_CLASS(Slice);

}  // namespace caffe

#include "caffe/layers/concat_layer.hpp"

#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
void ConcatLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const ConcatParameter& param = this->layer_param_.concat_param();
  if (bottom.size() > 1) this->RefuseInPlace(bottom, top);
  ENFORCE(!param.has_axis() || !param.has_concat_dim()) << "give axis or concat_dim, not both";
  axis_ = bottom[0]->CanonicalAxisIndex(
      param.has_concat_dim() ? static_cast<int>(param.concat_dim()) : param.axis());
}

template <typename Dtype>
void ConcatLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                 const vector<Blob<Dtype>*>& top) {
  vector<int> shape = bottom[0]->shape();
  for (size_t i = 1; i < bottom.size(); ++i) {
    vector<int> other = bottom[i]->shape();
    const bool axes = other.size() == shape.size();
    if (axes) {
      shape[axis_] += other[axis_];
      other[axis_] = shape[axis_];
    }
    ENFORCE(axes && other == shape)
        << "bottom " << i << " has shape " << bottom[i]->shape_string() << ", bottom 0 "
        << bottom[0]->shape_string() << "; only axis " << axis_ << " may differ";
  }
  top[0]->Reshape(shape);
}

// Blocks can be joined when whole ones meet: the block size of the first bottom, if it divides all
// channels; else 1.
template <typename Dtype>
int ConcatLayer<Dtype>::CommonBlock(const vector<Blob<Dtype>*>& bottom) const {
  const int block = bottom[0]->data_block();
  if (axis_ != 1) return 1;
  for (const Blob<Dtype>* blob : bottom) {
    if (blob->shape(1) % block) return 1;
  }
  return block;
}

template <typename Dtype>
void ConcatLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  if (top[0] == bottom[0]) return;  // the only bottom
  block_ = CommonBlock(bottom);
  Dtype* y = top[0]->overwrite_cpu_data(block_);
  const int outer = top[0]->count(0, axis_), stride = top[0]->count(axis_);
  for (Blob<Dtype>* blob : bottom) {
    const Dtype* x = blob->cpu_data(block_);
    const int size = blob->count(axis_);
    for (int n = 0; n < outer; ++n) caffe_copy(size, x + size_t(n) * size, y + size_t(n) * stride);
    y += size;
  }
}

template <typename Dtype>
void ConcatLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                      const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  if (top[0] == bottom[0]) return;
  const Dtype* dy = top[0]->cpu_diff(block_);
  const int outer = top[0]->count(0, axis_), stride = top[0]->count(axis_);
  for (size_t i = 0; i < bottom.size(); ++i) {
    const int size = bottom[i]->count(axis_);
    if (propagate_down[i]) {
      Dtype* dx = bottom[i]->overwrite_cpu_diff(block_);
      for (int n = 0; n < outer; ++n) {
        caffe_copy(size, dy + size_t(n) * stride, dx + size_t(n) * size);
      }
    }
    dy += size;
  }
}

INSTANTIATE_CLASS(ConcatLayer);
REGISTER_LAYER_CLASS(Concat);

}  // namespace caffe

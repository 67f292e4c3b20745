#include "caffe/layers/reduction_layer.hpp"

#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
void ReductionLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  this->RefuseInPlace(bottom, top);
}

template <typename Dtype>
void ReductionLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const int axis = bottom[0]->CanonicalAxisIndex(this->layer_param_.reduction_param().axis());
  top[0]->Reshape(vector<int>(bottom[0]->shape().begin(), bottom[0]->shape().begin() + axis));
}

template <typename Dtype>
int ReductionLayer<Dtype>::RowSize(const Blob<Dtype>& bottom) const {
  return bottom.count(bottom.CanonicalAxisIndex(this->layer_param_.reduction_param().axis()));
}

template <typename Dtype>
void ReductionLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  const ReductionParameter& param = this->layer_param_.reduction_param();
  const int rows = top[0]->count(), size = RowSize(*bottom[0]);
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  for (int n = 0; n < rows; ++n, x += size) {
    double sum = 0;
    switch (param.operation()) {
      case ReductionParameter_ReductionOp_ASUM:
        sum = caffe_cpu_asum(size, x);
        break;
      case ReductionParameter_ReductionOp_SUMSQ:
        sum = caffe_cpu_dot(size, x, x);
        break;
      default:
        for (int i = 0; i < size; ++i) sum += x[i];
        if (param.operation() == ReductionParameter_ReductionOp_MEAN) sum /= size;
    }
    y[n] = sum * param.coeff();
  }
}

template <typename Dtype>
void ReductionLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const ReductionParameter& param = this->layer_param_.reduction_param();
  const int rows = top[0]->count(), size = RowSize(*bottom[0]);
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  for (int n = 0; n < rows; ++n) {
    const Dtype d = top[0]->cpu_diff()[n] * Dtype(param.coeff());
    for (int i = n * size; i < (n + 1) * size; ++i) {
      switch (param.operation()) {
        case ReductionParameter_ReductionOp_ASUM:
          dx[i] = d * caffe_sign(x[i]);
          break;
        case ReductionParameter_ReductionOp_SUMSQ:
          dx[i] = 2 * d * x[i];
          break;
        case ReductionParameter_ReductionOp_MEAN:
          dx[i] = d / size;
          break;
        default:
          dx[i] = d;
      }
    }
  }
}

INSTANTIATE_CLASS(ReductionLayer);
REGISTER_LAYER_CLASS(Reduction);

}  // namespace caffe

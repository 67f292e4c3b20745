#include "caffe/layers/eltwise_layer.hpp"

#include <algorithm>

#include "caffe/util/channel_loops.hpp"

namespace caffe {

template <typename Dtype>
void EltwiseLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  const EltwiseParameter& param = this->layer_param_.eltwise_param();
  ENFORCE(param.coeff_size() == 0 || param.coeff_size() == static_cast<int>(bottom.size()))
      << "eltwise_param has " << param.coeff_size() << " coeff entries for " << bottom.size()
      << " bottoms";
  ENFORCE(param.coeff_size() == 0 || param.operation() == EltwiseParameter_EltwiseOp_SUM)
      << "coeff applies to SUM only";
  coeffs_.assign(bottom.size(), Dtype(1));
  std::copy(param.coeff().begin(), param.coeff().end(), coeffs_.begin());
  (void)top;
}

template <typename Dtype>
void EltwiseLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  ENFORCE(std::find(bottom.begin(), bottom.end(), top[0]) == bottom.end())
      << "cannot work in place";
  for (size_t i = 1; i < bottom.size(); ++i) {
    ENFORCE(bottom[i]->shape() == bottom[0]->shape())
        << "bottom " << i << " has shape " << bottom[i]->shape_string() << ", bottom 0 "
        << bottom[0]->shape_string();
  }
  top[0]->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
void EltwiseLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const auto operation = this->layer_param_.eltwise_param().operation();
  if (operation == EltwiseParameter_EltwiseOp_SUM) {
    const int block = bottom[0]->data_block();
    const size_t count = top[0]->Blocks(block).count();
    const Dtype* first = bottom[0]->cpu_data(block);
    const Dtype* second = bottom[1]->cpu_data(block);
    Dtype* y = top[0]->overwrite_cpu_data(block);
    WeightedSum(count, coeffs_[0], first, coeffs_[1], second, y);
    for (size_t i = 2; i < bottom.size(); ++i) {
      WeightedSum(count, Dtype(1), y, coeffs_[i], bottom[i]->cpu_data(block), y);
    }
    return;
  }
  const int count = top[0]->count();
  Dtype* y = top[0]->mutable_cpu_data();
  caffe_copy(count, bottom[0]->cpu_data(), y);
  if (operation == EltwiseParameter_EltwiseOp_PROD) {
    for (size_t i = 1; i < bottom.size(); ++i) caffe_mul(count, y, bottom[i]->cpu_data(), y);
    return;
  }
  winner_.assign(count, 0);
  for (size_t j = 1; j < bottom.size(); ++j) {
    const Dtype* x = bottom[j]->cpu_data();
    for (int i = 0; i < count; ++i) {
      if (x[i] > y[i]) {
        y[i] = x[i];
        winner_[i] = static_cast<int>(j);
      }
    }
  }
}

template <typename Dtype>
void EltwiseLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  const EltwiseParameter& param = this->layer_param_.eltwise_param();
  const int count = top[0]->count();
  for (size_t j = 0; j < bottom.size(); ++j) {
    if (!propagate_down[j]) continue;
    if (param.operation() == EltwiseParameter_EltwiseOp_SUM) {
      const int block = top[0]->diff_block();
      const Dtype* dy = top[0]->cpu_diff(block);
      Dtype* dx = bottom[j]->overwrite_cpu_diff(block);
      WeightedSum(top[0]->Blocks(block).count(), coeffs_[j], dy, Dtype(0), dy, dx);
      continue;
    }
    const Dtype* dy = top[0]->cpu_diff();
    Dtype* dx = bottom[j]->mutable_cpu_diff();
    if (param.operation() == EltwiseParameter_EltwiseOp_MAX) {
      for (int i = 0; i < count; ++i) dx[i] = winner_[i] == static_cast<int>(j) ? dy[i] : 0;
    } else if (param.stable_prod_grad()) {
      caffe_copy(count, dy, dx);
      for (size_t k = 0; k < bottom.size(); ++k) {
        if (k != j) caffe_mul(count, dx, bottom[k]->cpu_data(), dx);
      }
    } else {
      caffe_div(count, top[0]->cpu_data(), bottom[j]->cpu_data(), dx);
      caffe_mul(count, dx, dy, dx);
    }
  }
}

INSTANTIATE_CLASS(EltwiseLayer);
REGISTER_LAYER_CLASS(Eltwise);

}  // namespace caffe

#include "caffe/layers/inner_product_layer.hpp"

#include "caffe/filler.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
void InnerProductLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  const InnerProductParameter& param = this->layer_param_.inner_product_param();
  outputs_ = static_cast<int>(param.num_output());
  ENFORCE(outputs_ > 0) << "num_output is not given or 0";
  bias_ = param.bias_term();
  transpose_ = param.transpose();
  inputs_ = bottom[0]->count(bottom[0]->CanonicalAxisIndex(param.axis()));
  const vector<int> shape =
      transpose_ ? vector<int>{inputs_, outputs_} : vector<int>{outputs_, inputs_};
  auto& blobs = this->blobs_;
  if (blobs.empty()) {
    blobs.emplace_back(new Blob<Dtype>(shape));
    shared_ptr<Filler<Dtype>>(GetFiller<Dtype>(param.weight_filler()))->Fill(blobs[0].get());
    if (bias_) {
      blobs.emplace_back(new Blob<Dtype>(vector<int>{outputs_}));
      shared_ptr<Filler<Dtype>>(GetFiller<Dtype>(param.bias_filler()))->Fill(blobs[1].get());
    }
  }
  ENFORCE(blobs.size() == (bias_ ? 2u : 1u))
      << blobs.size() << " stored parameter blobs where " << (bias_ ? 2 : 1) << " are expected";
  ENFORCE(!bias_ || blobs[1]->count() == outputs_)
      << "stored bias of shape " << blobs[1]->shape_string() << " does not fit " << outputs_
      << " outputs";
  ENFORCE(blobs[0]->count() == outputs_ * inputs_)
      << "stored weights of shape " << blobs[0]->shape_string() << " do not fit " << outputs_
      << " outputs of " << inputs_ << " inputs";
  this->param_propagate_down_.resize(blobs.size(), true);
  (void)top;
}

template <typename Dtype>
void InnerProductLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  this->RefuseInPlace(bottom, top);
  const int axis = bottom[0]->CanonicalAxisIndex(this->layer_param_.inner_product_param().axis());
  ENFORCE(bottom[0]->count(axis) == inputs_)
      << "the bottom's shape " << bottom[0]->shape_string() << " gives " << bottom[0]->count(axis)
      << " inputs where " << inputs_ << " are expected";
  rows_ = bottom[0]->count(0, axis);
  vector<int> shape(bottom[0]->shape().begin(), bottom[0]->shape().begin() + axis);
  shape.push_back(outputs_);
  top[0]->Reshape(shape);
}

template <typename Dtype>
void InnerProductLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                           const vector<Blob<Dtype>*>& top) {
  Dtype* y = top[0]->overwrite_cpu_data(1);
  for (int n = 0; n < rows_; ++n) {
    if (bias_) {
      caffe_copy(outputs_, this->blobs_[1]->cpu_data(), y + n * outputs_);
    }
  }
  caffe_cpu_gemm(CblasNoTrans, transpose_ ? CblasNoTrans : CblasTrans, rows_, outputs_, inputs_,
                 Dtype(1), bottom[0]->cpu_data(), this->blobs_[0]->cpu_data(), Dtype(bias_ ? 1 : 0),
                 y);
}

template <typename Dtype>
void InnerProductLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                            const vector<bool>& propagate_down,
                                            const vector<Blob<Dtype>*>& bottom) {
  const Dtype* dy = top[0]->cpu_diff();
  if (this->param_propagate_down_[0]) {
    const Dtype* x = bottom[0]->cpu_data();
    Dtype* dw = this->blobs_[0]->mutable_cpu_diff();
    if (transpose_) {
      caffe_cpu_gemm(CblasTrans, CblasNoTrans, inputs_, outputs_, rows_, Dtype(1), x, dy, Dtype(1),
                     dw);
    } else {
      caffe_cpu_gemm(CblasTrans, CblasNoTrans, outputs_, inputs_, rows_, Dtype(1), dy, x, Dtype(1),
                     dw);
    }
  }
  if (bias_ && this->param_propagate_down_[1]) {
    Dtype* db = this->blobs_[1]->mutable_cpu_diff();
    for (int n = 0; n < rows_; ++n) caffe_axpy(outputs_, Dtype(1), dy + n * outputs_, db);
  }
  if (propagate_down[0]) {
    caffe_cpu_gemm(CblasNoTrans, transpose_ ? CblasTrans : CblasNoTrans, rows_, inputs_, outputs_,
                   Dtype(1), dy, this->blobs_[0]->cpu_data(), Dtype(0),
                   bottom[0]->overwrite_cpu_diff(1));
  }
}

INSTANTIATE_CLASS(InnerProductLayer);
REGISTER_LAYER_CLASS(InnerProduct);

}  // namespace caffe

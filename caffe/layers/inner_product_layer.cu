#include "caffe/layers/inner_product_layer.hpp"
#include "caffe/util/bias_kernels.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
void InnerProductLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                           const vector<Blob<Dtype>*>& top) {
  const Dtype *x = bottom[0]->gpu_data(), *weights = this->blobs_[0]->gpu_data();
  Dtype* y = top[0]->overwrite_gpu_data();
  if (bias_) FillWithBias(rows_, outputs_, 1, this->blobs_[1]->gpu_data(), y);
  caffe_gpu_gemm(CblasNoTrans, transpose_ ? CblasNoTrans : CblasTrans, rows_, outputs_, inputs_,
                 Dtype(1), x, weights, Dtype(bias_ ? 1 : 0), y);
}

template <typename Dtype>
void InnerProductLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                            const vector<bool>& propagate_down,
                                            const vector<Blob<Dtype>*>& bottom) {
  const Dtype* dy = top[0]->gpu_diff();
  if (this->param_propagate_down_[0]) {
    const Dtype* x = bottom[0]->gpu_data();
    Dtype* dw = this->blobs_[0]->mutable_gpu_diff();
    if (transpose_) {
      caffe_gpu_gemm(CblasTrans, CblasNoTrans, inputs_, outputs_, rows_, Dtype(1), x, dy, Dtype(1),
                     dw);
    } else {
      caffe_gpu_gemm(CblasTrans, CblasNoTrans, outputs_, inputs_, rows_, Dtype(1), dy, x, Dtype(1),
                     dw);
    }
  }
  if (bias_ && this->param_propagate_down_[1]) {
    AddBiasGradient(rows_, outputs_, 1, dy, this->blobs_[1]->mutable_gpu_diff());
  }
  if (propagate_down[0]) {
    caffe_gpu_gemm(CblasNoTrans, transpose_ ? CblasTrans : CblasNoTrans, rows_, inputs_, outputs_,
                   Dtype(1), dy, this->blobs_[0]->gpu_data(), Dtype(0),
                   bottom[0]->overwrite_gpu_diff());
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(InnerProductLayer);

}  // namespace caffe

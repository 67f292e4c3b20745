// The GPU halves of Sigmoid, TanH, ELU, Swish and BNLL.
#include <cmath>

#include "caffe/layers/bnll_layer.hpp"
#include "caffe/layers/elu_layer.hpp"
#include "caffe/layers/sigmoid_layer.hpp"
#include "caffe/layers/swish_layer.hpp"
#include "caffe/layers/tanh_layer.hpp"
#include "caffe/util/elementwise_kernels.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

namespace {

// By way of the hyperbolic tangent, where nothing overflows.
template <typename Dtype>
CAFFE_HOST_DEVICE inline Dtype Sigmoid(Dtype x) {
  return Dtype(0.5) * std::tanh(Dtype(0.5) * x) + Dtype(0.5);
}

}  // namespace

// Sigmoid

namespace {

template <typename Dtype>
struct SigmoidForward {
  CAFFE_HOST_DEVICE Dtype operator()(Dtype x) const { return Sigmoid(x); }
};

template <typename Dtype>
struct SigmoidBackward {
  CAFFE_HOST_DEVICE Dtype operator()(Dtype dy, Dtype y) const { return dy * y * (1 - y); }
};

}  // namespace

template <typename Dtype>
void SigmoidLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  ComputeTop(SigmoidForward<Dtype>(), *bottom[0], top[0]);
}

template <typename Dtype>
void SigmoidLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  ComputeDiff(SigmoidBackward<Dtype>(), *top[0], top[0]->gpu_data(), bottom[0]);
}

INSTANTIATE_LAYER_GPU_FUNCS(SigmoidLayer);

// TanH

namespace {

template <typename Dtype>
struct TanHForward {
  CAFFE_HOST_DEVICE Dtype operator()(Dtype x) const { return std::tanh(x); }
};

template <typename Dtype>
struct TanHBackward {
  CAFFE_HOST_DEVICE Dtype operator()(Dtype dy, Dtype y) const { return dy * (1 - y * y); }
};

}  // namespace

template <typename Dtype>
void TanHLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  ComputeTop(TanHForward<Dtype>(), *bottom[0], top[0]);
}

template <typename Dtype>
void TanHLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  ComputeDiff(TanHBackward<Dtype>(), *top[0], top[0]->gpu_data(), bottom[0]);
}

INSTANTIATE_LAYER_GPU_FUNCS(TanHLayer);

// ELU

namespace {

template <typename Dtype>
struct EluForward {
  Dtype alpha;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype x) const { return x > 0 ? x : alpha * std::expm1(x); }
};

template <typename Dtype>
struct EluBackward {
  Dtype alpha;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype dy, Dtype x, Dtype y) const {
    return x > 0 ? dy : dy * (y + alpha);
  }
};

}  // namespace

template <typename Dtype>
void ELULayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  const Dtype alpha = this->layer_param_.elu_param().alpha();
  ComputeTop(EluForward<Dtype>{alpha}, *bottom[0], top[0]);
}

template <typename Dtype>
void ELULayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                   const vector<bool>& propagate_down,
                                   const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype alpha = this->layer_param_.elu_param().alpha();
  ComputeDiff(EluBackward<Dtype>{alpha}, *top[0], bottom[0]->gpu_data(), top[0]->gpu_data(),
              bottom[0]);
}

INSTANTIATE_LAYER_GPU_FUNCS(ELULayer);

// Swish

namespace {

// In place, x is gone when y is there: the sigmoid comes first.
template <typename Dtype>
struct SwishSigmoid {
  Dtype beta;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype x) const { return Sigmoid(beta * x); }
};

template <typename Dtype>
struct SwishBackward {
  Dtype beta;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype dy, Dtype y, Dtype s) const {
    return dy * (beta * y + s * (1 - beta * y));
  }
};

}  // namespace

template <typename Dtype>
void SwishLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const Dtype beta = this->layer_param_.swish_param().beta();
  sigmoid_.ReshapeLike(*bottom[0]);
  ComputeTop(SwishSigmoid<Dtype>{beta}, *bottom[0], &sigmoid_);
  const Dtype* x = bottom[0]->gpu_data();
  caffe_gpu_mul(bottom[0]->count(), x, sigmoid_.gpu_data(), top[0]->overwrite_gpu_data());
}

template <typename Dtype>
void SwishLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype beta = this->layer_param_.swish_param().beta();
  ComputeDiff(SwishBackward<Dtype>{beta}, *top[0], top[0]->gpu_data(), sigmoid_.gpu_data(),
              bottom[0]);
}

INSTANTIATE_LAYER_GPU_FUNCS(SwishLayer);

// BNLL

namespace {

// ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|), where nothing overflows.
template <typename Dtype>
struct BnllForward {
  CAFFE_HOST_DEVICE Dtype operator()(Dtype x) const {
    return (x > 0 ? x : Dtype(0)) + std::log1p(std::exp(-std::fabs(x)));
  }
};

template <typename Dtype>
struct BnllBackward {
  CAFFE_HOST_DEVICE Dtype operator()(Dtype dy, Dtype y) const { return -dy * std::expm1(-y); }
};

}  // namespace

template <typename Dtype>
void BNLLLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  ComputeTop(BnllForward<Dtype>(), *bottom[0], top[0]);
}

template <typename Dtype>
void BNLLLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  ComputeDiff(BnllBackward<Dtype>(), *top[0], top[0]->gpu_data(), bottom[0]);
}

INSTANTIATE_LAYER_GPU_FUNCS(BNLLLayer);

}  // namespace caffe

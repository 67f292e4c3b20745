// The GPU halves of the layers that are one formula per element. Each has a functor for y, and one
// for dx of dy and of what the backward pass reads: x or y, or two values.
#include <cmath>

#include "caffe/layers/absval_layer.hpp"
#include "caffe/layers/bnll_layer.hpp"
#include "caffe/layers/clip_layer.hpp"
#include "caffe/layers/elu_layer.hpp"
#include "caffe/layers/exp_layer.hpp"
#include "caffe/layers/log_layer.hpp"
#include "caffe/layers/power_layer.hpp"
#include "caffe/layers/sigmoid_layer.hpp"
#include "caffe/layers/swish_layer.hpp"
#include "caffe/layers/tanh_layer.hpp"
#include "caffe/layers/threshold_layer.hpp"
#include "caffe/util/device_launch.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

namespace {

template <typename Dtype, class Function>
struct OfOne {
  Function f;
  const Dtype* a;
  Dtype* out;
  CAFFE_HOST_DEVICE void operator()(int i) const { out[i] = f(a[i]); }
};

template <typename Dtype, class Function>
struct OfTwo {
  Function f;
  const Dtype *a, *b;
  Dtype* out;
  CAFFE_HOST_DEVICE void operator()(int i) const { out[i] = f(a[i], b[i]); }
};

template <typename Dtype, class Function>
struct OfThree {
  Function f;
  const Dtype *a, *b, *c;
  Dtype* out;
  CAFFE_HOST_DEVICE void operator()(int i) const { out[i] = f(a[i], b[i], c[i]); }
};

/// y = f(x)
template <typename Dtype, class Function>
void ComputeTop(const Function& f, const Blob<Dtype>& bottom, Blob<Dtype>* top) {
  const Dtype* x = bottom.gpu_data();
  ForEachIndex(bottom.count(), OfOne<Dtype, Function>{f, x, top->overwrite_gpu_data()});
}

/// dx = f(dy, a)
template <typename Dtype, class Function>
void ComputeDiff(const Function& f, const Blob<Dtype>& top, const Dtype* a, Blob<Dtype>* bottom) {
  const Dtype* dy = top.gpu_diff();
  ForEachIndex(top.count(), OfTwo<Dtype, Function>{f, dy, a, bottom->overwrite_gpu_diff()});
}

/// dx = f(dy, a, b)
template <typename Dtype, class Function>
void ComputeDiff(const Function& f, const Blob<Dtype>& top, const Dtype* a, const Dtype* b,
                 Blob<Dtype>* bottom) {
  const Dtype* dy = top.gpu_diff();
  ForEachIndex(top.count(), OfThree<Dtype, Function>{f, dy, a, b, bottom->overwrite_gpu_diff()});
}

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

// Power

namespace {

template <typename Dtype>
struct PowerForward {
  Dtype power, scale, shift;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype x) const {
    const Dtype base = scale == 0 ? shift : shift + scale * x;
    return power == 1 ? base : std::pow(base, power);
  }
};

template <typename Dtype>
struct PowerBackward {
  Dtype power, scale, shift;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype dy, Dtype x) const {
    return dy * power * scale * std::pow(shift + scale * x, power - 1);
  }
};

}  // namespace

template <typename Dtype>
void PowerLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const PowerParameter& param = this->layer_param_.power_param();
  const Dtype power = param.power(), scale = param.scale(), shift = param.shift();
  ENFORCE(power == 1 || bottom[0] != top[0])
      << "power " << power << " cannot be computed in place: give the top a name of its own";
  ComputeTop(PowerForward<Dtype>{power, scale, shift}, *bottom[0], top[0]);
}

template <typename Dtype>
void PowerLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const PowerParameter& param = this->layer_param_.power_param();
  const Dtype power = param.power(), scale = param.scale(), shift = param.shift();
  const int count = top[0]->count();
  if (power * scale == 0) {
    // y is constant; the formula would be 0 times infinity where shift + scale x is 0.
    caffe_gpu_set(count, Dtype(0), bottom[0]->overwrite_gpu_diff());
  } else if (power == 1) {
    const Dtype* dy = top[0]->gpu_diff();
    caffe_gpu_scale(count, scale, dy, bottom[0]->overwrite_gpu_diff());
  } else {
    ComputeDiff(PowerBackward<Dtype>{power, scale, shift}, *top[0], bottom[0]->gpu_data(),
                bottom[0]);
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(PowerLayer);

// Exp

namespace {

template <typename Dtype>
struct ExpForward {
  Dtype inner, outer;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype x) const { return outer * std::exp(inner * x); }
};

template <typename Dtype>
struct ExpBackward {
  Dtype inner;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype dy, Dtype y) const { return dy * y * inner; }
};

}  // namespace

template <typename Dtype>
void ExpLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  ComputeTop(ExpForward<Dtype>{inner_scale_, outer_scale_}, *bottom[0], top[0]);
}

template <typename Dtype>
void ExpLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                   const vector<bool>& propagate_down,
                                   const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  ComputeDiff(ExpBackward<Dtype>{inner_scale_}, *top[0], top[0]->gpu_data(), bottom[0]);
}

INSTANTIATE_LAYER_GPU_FUNCS(ExpLayer);

// Log

namespace {

template <typename Dtype>
struct LogForward {
  Dtype scale, shift, log_base;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype x) const {
    return std::log(shift + scale * x) / log_base;
  }
};

template <typename Dtype>
struct LogBackward {
  Dtype scale, shift, log_base;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype dy, Dtype x) const {
    return dy * scale / ((shift + scale * x) * log_base);
  }
};

}  // namespace

template <typename Dtype>
void LogLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  const LogParameter& param = this->layer_param_.log_param();
  ComputeTop(LogForward<Dtype>{Dtype(param.scale()), Dtype(param.shift()), log_base_}, *bottom[0],
             top[0]);
}

template <typename Dtype>
void LogLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                   const vector<bool>& propagate_down,
                                   const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const LogParameter& param = this->layer_param_.log_param();
  ComputeDiff(LogBackward<Dtype>{Dtype(param.scale()), Dtype(param.shift()), log_base_}, *top[0],
              bottom[0]->gpu_data(), bottom[0]);
}

INSTANTIATE_LAYER_GPU_FUNCS(LogLayer);

// AbsVal

namespace {

template <typename Dtype>
struct AbsBackward {
  CAFFE_HOST_DEVICE Dtype operator()(Dtype dy, Dtype x) const {
    return x > 0 ? dy : x < 0 ? -dy : Dtype(0);
  }
};

}  // namespace

template <typename Dtype>
void AbsValLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  caffe_gpu_abs(bottom[0]->count(), bottom[0]->gpu_data(), top[0]->overwrite_gpu_data());
}

template <typename Dtype>
void AbsValLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                      const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  ComputeDiff(AbsBackward<Dtype>(), *top[0], bottom[0]->gpu_data(), bottom[0]);
}

INSTANTIATE_LAYER_GPU_FUNCS(AbsValLayer);

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

// Clip

namespace {

template <typename Dtype>
struct ClipForward {
  Dtype low, high;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype x) const { return x < low ? low : x > high ? high : x; }
};

template <typename Dtype>
struct ClipBackward {
  Dtype low, high;
  bool in_place;  // x is y, and an element at a limit has almost surely been clipped
  CAFFE_HOST_DEVICE Dtype operator()(Dtype dy, Dtype x) const {
    const bool clipped = x < low || x > high || (in_place && (x == low || x == high));
    return clipped ? Dtype(0) : dy;
  }
};

}  // namespace

template <typename Dtype>
void ClipLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const ClipParameter& param = this->layer_param_.clip_param();
  ComputeTop(ClipForward<Dtype>{Dtype(param.min()), Dtype(param.max())}, *bottom[0], top[0]);
}

template <typename Dtype>
void ClipLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const ClipParameter& param = this->layer_param_.clip_param();
  const bool in_place = bottom[0] == top[0];
  ComputeDiff(ClipBackward<Dtype>{Dtype(param.min()), Dtype(param.max()), in_place}, *top[0],
              bottom[0]->gpu_data(), bottom[0]);
}

INSTANTIATE_LAYER_GPU_FUNCS(ClipLayer);

// Threshold

namespace {

template <typename Dtype>
struct IsAbove {
  Dtype threshold;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype x) const { return x > threshold ? 1 : 0; }
};

}  // namespace

template <typename Dtype>
void ThresholdLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  const Dtype threshold = this->layer_param_.threshold_param().threshold();
  ComputeTop(IsAbove<Dtype>{threshold}, *bottom[0], top[0]);
}

INSTANTIATE_LAYER_GPU_FORWARD(ThresholdLayer);

}  // namespace caffe

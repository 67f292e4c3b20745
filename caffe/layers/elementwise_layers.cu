// The GPU halves of Power, Exp, Log, AbsVal, Clip and Threshold.
#include <cmath>

#include "caffe/layers/absval_layer.hpp"
#include "caffe/layers/clip_layer.hpp"
#include "caffe/layers/exp_layer.hpp"
#include "caffe/layers/log_layer.hpp"
#include "caffe/layers/power_layer.hpp"
#include "caffe/layers/threshold_layer.hpp"
#include "caffe/util/elementwise_kernels.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

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

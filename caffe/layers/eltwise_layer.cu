#include "caffe/layers/eltwise_layer.hpp"
#include "caffe/util/device_vectors.hpp"

namespace caffe {

namespace {

// r(a u + b v)
template <typename Dtype>
struct WeightedSum {
  Dtype a, b, slope;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype u, Dtype v) const {
    const Dtype sum = a * u + b * v;
    return sum > 0 ? sum : slope * sum;
  }
};

// coeff dy r'(y)
template <typename Dtype>
struct SumGradient {
  Dtype coeff, slope;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype y, Dtype dy) const {
    return coeff * (y > 0 ? dy : slope * dy);
  }
};

// The larger of the largest so far and bottom j; `winner` is set where j, or `is_first`, says so.
template <typename Dtype>
struct TakeLarger {
  const Dtype *so_far, *x;
  int j;
  bool is_first;
  Dtype* y;
  int* winner;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const bool larger = is_first ? !(so_far[i] > x[i]) : x[i] > so_far[i];
    y[i] = larger ? x[i] : so_far[i];
    if (larger || is_first) winner[i] = larger ? j : 0;
  }
};

template <typename Dtype>
struct BackwardMaximum {
  int j;
  const int* winner;
  const Dtype* dy;
  Dtype* dx;
  CAFFE_HOST_DEVICE void operator()(int i) const { dx[i] = winner[i] == j ? dy[i] : Dtype(0); }
};

template <typename Dtype>
struct BackwardQuotient {
  const Dtype *y, *x, *dy;
  Dtype* dx;
  CAFFE_HOST_DEVICE void operator()(int i) const { dx[i] = y[i] / x[i] * dy[i]; }
};

}  // namespace

template <typename Dtype>
void EltwiseLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const auto operation = this->layer_param_.eltwise_param().operation();
  const int count = top[0]->count();
  const Dtype* first = bottom[0]->gpu_data();
  Dtype* y = top[0]->overwrite_gpu_data();
  int* winner = nullptr;
  if (operation == EltwiseParameter_EltwiseOp_MAX) {
    winner_.Reshape(top[0]->shape());
    winner = winner_.overwrite_gpu_data();
  }
  for (size_t j = 1; j < bottom.size(); ++j) {
    const Dtype *so_far = j == 1 ? first : y, *x = bottom[j]->gpu_data();
    switch (operation) {
      case EltwiseParameter_EltwiseOp_SUM:
        MapElements(count,
                    WeightedSum<Dtype>{j == 1 ? coeffs_[0] : Dtype(1), coeffs_[j],
                                       j + 1 == bottom.size() ? slope_ : Dtype(1)},
                    so_far, x, y);
        break;
      case EltwiseParameter_EltwiseOp_PROD:
        caffe_gpu_mul(count, so_far, x, y);
        break;
      case EltwiseParameter_EltwiseOp_MAX:
        ForEachIndex(count, TakeLarger<Dtype>{so_far, x, static_cast<int>(j), j == 1, y, winner});
        break;
    }
  }
}

template <typename Dtype>
void EltwiseLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  const EltwiseParameter& param = this->layer_param_.eltwise_param();
  const int count = top[0]->count();
  const Dtype* dy = top[0]->gpu_diff();
  for (size_t j = 0; j < bottom.size(); ++j) {
    if (!propagate_down[j]) continue;
    if (is_sum()) {
      if (IsComputed(j, *top[0], propagate_down, bottom)) continue;
      Dtype* dx = bottom[j]->overwrite_gpu_diff();
      if (slope_ == 1) {
        caffe_gpu_scale(count, coeffs_[j], dy, dx);
      } else {
        MapElements(count, SumGradient<Dtype>{coeffs_[j], slope_}, top[0]->gpu_data(), dy, dx);
      }
      continue;
    }
    Dtype* dx = bottom[j]->overwrite_gpu_diff();
    if (param.operation() == EltwiseParameter_EltwiseOp_MAX) {
      ForEachIndex(count, BackwardMaximum<Dtype>{static_cast<int>(j), winner_.gpu_data(), dy, dx});
    } else if (param.stable_prod_grad()) {
      const Dtype* product = dy;
      for (size_t k = 0; k < bottom.size(); ++k) {
        if (k == j) continue;
        caffe_gpu_mul(count, product, bottom[k]->gpu_data(), dx);
        product = dx;
      }
    } else {
      ForEachIndex(count,
                   BackwardQuotient<Dtype>{top[0]->gpu_data(), bottom[j]->gpu_data(), dy, dx});
    }
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(EltwiseLayer);

}  // namespace caffe

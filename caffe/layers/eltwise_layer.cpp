#include "caffe/layers/eltwise_layer.hpp"

#include <algorithm>
#include <type_traits>

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
  this->RefuseInPlace(bottom, top);
  for (size_t i = 1; i < bottom.size(); ++i) {
    ENFORCE(bottom[i]->shape() == bottom[0]->shape())
        << "bottom " << i << " has shape " << bottom[i]->shape_string() << ", bottom 0 "
        << bottom[0]->shape_string();
  }
  top[0]->ReshapeLike(*bottom[0]);
  ShareDiffs(*top[0], bottom);
}

// Equal gradients are stored once: a bottom's is the top's when its coefficient is 1, and that of
// another bottom with the same coefficient.
template <typename Dtype>
void EltwiseLayer<Dtype>::ShareDiffs(const Blob<Dtype>& top, const vector<Blob<Dtype>*>& bottom) {
  if (!is_sum()) return;
  for (size_t j = 0; j < may_share_.size(); ++j) {
    if (!may_share_[j]) continue;
    if (coeffs_[j] == 1 && slope_ == 1) {
      bottom[j]->ShareDiff(top);
      continue;
    }
    for (size_t i = 0; i < j; ++i) {
      if (!may_share_[i] || coeffs_[i] != coeffs_[j]) continue;
      bottom[j]->ShareDiff(*bottom[i]);
      break;
    }
  }
}

template <typename Dtype>
bool EltwiseLayer<Dtype>::Absorb(Layer<Dtype>* next) {
  if (!std::is_same<Dtype, float>::value || !is_sum() || slope_ != 1 ||
      string(next->type()) != "ReLU") {
    return false;
  }
  const Dtype slope = next->layer_param().relu_param().negative_slope();
  if (slope < 0) return false;  // the sign of y would not tell that of the sum
  slope_ = slope;
  return true;
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
    const size_t last = bottom.size() - 1;
    WeightedSum(count, coeffs_[0], first, coeffs_[1], second, y, last == 1 ? slope_ : Dtype(1));
    for (size_t i = 2; i <= last; ++i) {
      WeightedSum(count, Dtype(1), y, coeffs_[i], bottom[i]->cpu_data(block), y,
                  i == last ? slope_ : Dtype(1));
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
  winner_.Reshape(top[0]->shape());
  int* winner = winner_.overwrite_cpu_data(1);
  std::fill(winner, winner + count, 0);
  for (size_t j = 1; j < bottom.size(); ++j) {
    const Dtype* x = bottom[j]->cpu_data();
    for (int i = 0; i < count; ++i) {
      // Of equal values the gradient goes to the second bottom, else to the first, as in Caffe.
      if (j == 1 ? !(y[i] > x[i]) : x[i] > y[i]) {
        y[i] = x[i];
        winner[i] = static_cast<int>(j);
      }
    }
  }
}

template <typename Dtype>
bool EltwiseLayer<Dtype>::BackwardReadsBottom(int) const {
  return this->layer_param_.eltwise_param().operation() == EltwiseParameter_EltwiseOp_PROD;
}

template <typename Dtype>
bool EltwiseLayer<Dtype>::BackwardReadsTop() const {
  return !is_sum() || slope_ != 1;
}

template <typename Dtype>
bool EltwiseLayer<Dtype>::IsComputed(size_t j, const Blob<Dtype>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) const {
  if (bottom[j]->diff() == top.diff()) return true;
  for (size_t i = 0; i < j; ++i) {
    if (bottom[j]->diff() == bottom[i]->diff() && propagate_down[i]) return true;
  }
  return false;
}

// Each gradient is coeff dy r'(y).
template <typename Dtype>
void EltwiseLayer<Dtype>::BackwardSum(const Blob<Dtype>& top, const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  const int block = top.diff_block();
  const size_t count = top.Blocks(block).count();
  const Dtype* dy = top.cpu_diff(block);
  for (size_t j = 0; j < bottom.size(); ++j) {
    if (!propagate_down[j] || IsComputed(j, top, propagate_down, bottom)) continue;
    Dtype* dx = bottom[j]->overwrite_cpu_diff(block);
    const Dtype* g = dy;
    if (slope_ != 1) {
      ReluBackward(count, slope_, top.cpu_data(block), dy, dx);
      g = dx;
    }
    if (slope_ == 1 || coeffs_[j] != 1) WeightedSum(count, coeffs_[j], g, Dtype(0), g, dx);
  }
}

template <typename Dtype>
void EltwiseLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (is_sum()) return BackwardSum(*top[0], propagate_down, bottom);
  const EltwiseParameter& param = this->layer_param_.eltwise_param();
  const int count = top[0]->count();
  for (size_t j = 0; j < bottom.size(); ++j) {
    if (!propagate_down[j]) continue;
    const Dtype* dy = top[0]->cpu_diff();
    Dtype* dx = bottom[j]->mutable_cpu_diff();
    if (param.operation() == EltwiseParameter_EltwiseOp_MAX) {
      const int* winner = winner_.cpu_data();
      for (int i = 0; i < count; ++i) dx[i] = winner[i] == static_cast<int>(j) ? dy[i] : 0;
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

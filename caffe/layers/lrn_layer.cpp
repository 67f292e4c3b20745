#include "caffe/layers/lrn_layer.hpp"

#include <algorithm>
#include <cmath>

namespace caffe {

namespace {

// out[o, i, :] = sum of in[o, j, :] over |j - i| <= radius, for arrays outer x extent x inner.
template <typename Dtype>
void BoxSum(int outer, int extent, int inner, int radius, const Dtype* in, Dtype* out) {
  for (int o = 0; o < outer; ++o, in += extent * inner, out += extent * inner) {
    for (int i = 0; i < extent; ++i) {
      Dtype* sum = out + i * inner;
      std::fill(sum, sum + inner, Dtype(0));
      const int last = std::min(extent - 1, i + radius);
      for (int j = std::max(0, i - radius); j <= last; ++j) {
        for (int p = 0; p < inner; ++p) sum[p] += in[j * inner + p];
      }
    }
  }
}

// s^-beta; 3/4, what networks use, without pow.
template <typename Dtype>
Dtype InversePower(Dtype s, Dtype beta) {
  if (beta != Dtype(0.75)) return std::pow(s, -beta);
  const Dtype root = std::sqrt(s);
  return 1 / (root * std::sqrt(root));
}

}  // namespace

template <typename Dtype>
void LRNLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) {
  const LRNParameter& param = this->layer_param_.lrn_param();
  const int size = static_cast<int>(param.local_size());
  ENFORCE(size > 0 && size % 2 == 1)
      << "local_size is " << param.local_size() << "; it has to be odd";
  across_ = param.norm_region() == LRNParameter_NormRegion_ACROSS_CHANNELS;
  radius_ = size / 2;
  weight_ = Dtype(param.alpha()) / (across_ ? Dtype(size) : Dtype(size) * size);
  beta_ = param.beta();
  k_ = across_ ? param.k() : 1;
  LOG_IF(WARNING, k_ != Dtype(param.k()))
      << this->layer_param_.name() << ": lrn_param.k is not used WITHIN_CHANNEL";
}

template <typename Dtype>
void LRNLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  this->RefuseInPlace(bottom, top);
  ENFORCE(bottom[0]->num_axes() == 4)
      << "takes N x C x H x W; the bottom has shape " << bottom[0]->shape_string();
  top[0]->ReshapeLike(*bottom[0]);
  scale_.ReshapeLike(*bottom[0]);
}

template <typename Dtype>
void LRNLayer<Dtype>::WindowSum(const Blob<Dtype>& shape, const Dtype* in, Dtype* buffer,
                                Dtype* out) const {
  const int channels = shape.channels(), height = shape.height(), width = shape.width();
  if (across_) {
    BoxSum(1, channels, height * width, radius_, in, out);
  } else {
    BoxSum(channels, height, width, radius_, in, buffer);
    BoxSum(channels * height, width, 1, radius_, buffer, out);
  }
}

template <typename Dtype>
void LRNLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->overwrite_cpu_data(1);
  Dtype* scale = scale_.overwrite_cpu_data(1);
  const int num = bottom[0]->num(), size = bottom[0]->count(1);
#pragma omp parallel for schedule(static)
  for (int n = 0; n < num; ++n) {
    const size_t at = size_t(n) * size;
    vector<Dtype> squares(size), buffer(across_ ? 0 : size);
    for (int i = 0; i < size; ++i) squares[i] = x[at + i] * x[at + i];
    WindowSum(*bottom[0], squares.data(), buffer.data(), scale + at);
    for (size_t i = at; i < at + size; ++i) {
      scale[i] = k_ + weight_ * scale[i];
      y[i] = x[i] * InversePower(scale[i], beta_);
    }
  }
}

template <typename Dtype>
void LRNLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                   const vector<bool>& propagate_down,
                                   const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  // y by way of x: what follows may have changed the top in place.
  const Dtype *x = bottom[0]->cpu_data(), *dy = top[0]->cpu_diff();
  const Dtype* scale = scale_.cpu_data();
  Dtype* dx = bottom[0]->overwrite_cpu_diff(1);
  const int num = bottom[0]->num(), size = bottom[0]->count(1);
#pragma omp parallel for schedule(static)
  for (int n = 0; n < num; ++n) {
    const size_t at = size_t(n) * size;
    vector<Dtype> direct(size), ratios(size), buffer(across_ ? 0 : size);
    for (int i = 0; i < size; ++i) {
      direct[i] = dy[at + i] * InversePower(scale[at + i], beta_);
      ratios[i] = direct[i] * x[at + i] / scale[at + i];
    }
    WindowSum(*bottom[0], ratios.data(), buffer.data(), dx + at);
    for (int i = 0; i < size; ++i) {
      dx[at + i] = direct[i] - 2 * weight_ * beta_ * x[at + i] * dx[at + i];
    }
  }
}

INSTANTIATE_CLASS(LRNLayer);
REGISTER_LAYER_CLASS(LRN);

}  // namespace caffe

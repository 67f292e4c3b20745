#include "layers/cutout_layer.hpp"

#include <algorithm>

#include "layers/layer_param.hpp"
#include "util/philox.hpp"

namespace caffe {

template <typename Dtype>
void CutoutLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) {
  metaperturb::InLayer(*this, [&] {
    param_ = metaperturb::LayerParam<CutoutParameter>(this->layer_param_);
    ENFORCE(param_.length() > 0) << "length is 0; it must be positive";
  });
}

template <typename Dtype>
void CutoutLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                 const vector<Blob<Dtype>*>& top) {
  metaperturb::InLayer(*this, [&] {
    ENFORCE(bottom[0]->num_axes() == 4)
        << "takes N x C x H x W; the bottom has shape " << bottom[0]->shape_string();
    top[0]->ReshapeLike(*bottom[0]);
  });
}

// Copies all but each image's square of this pass; `to` may be `from`.
template <typename Dtype>
void CutoutLayer<Dtype>::Cut(const Blob<Dtype>& shape, const Dtype* from, Dtype* to) const {
  const int channels = shape.channels(), height = shape.height(), width = shape.width();
  const size_t area = size_t(height) * width;
  const int64_t length = param_.length();
  const bool train = this->phase_ == TRAIN;
  const uint64_t key = this->noise_key(), pass = this->noise_pass();
#pragma omp parallel for schedule(static)
  for (int n = 0; n < shape.num(); ++n) {
    const size_t at = n * channels * area;
    if (from != to) std::copy(from + at, from + at + channels * area, to + at);
    if (!train) continue;
    const Philox bits =
        Philox::At(key, n, 0, static_cast<uint32_t>(pass), static_cast<uint32_t>(pass >> 32));
    const int64_t top = int64_t(uint64_t{bits.v[0]} * height >> 32) - length / 2;
    const int64_t left = int64_t(uint64_t{bits.v[1]} * width >> 32) - length / 2;
    const int64_t last_row = std::min<int64_t>(height, top + length);
    const int64_t first = std::max<int64_t>(0, left);
    const int64_t last = std::min<int64_t>(width, left + length);
    for (int c = 0; c < channels; ++c) {
      for (int64_t h = std::max<int64_t>(0, top); h < last_row; ++h) {
        Dtype* row = to + at + c * area + h * width;
        std::fill(row + first, row + last, Dtype(0));
      }
    }
  }
}

template <typename Dtype>
void CutoutLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  this->BeginPass();
  Cut(*bottom[0], bottom[0]->cpu_data(), top[0]->mutable_cpu_data());
}

template <typename Dtype>
void CutoutLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                      const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  Cut(*bottom[0], top[0]->cpu_diff(), bottom[0]->mutable_cpu_diff());
}

INSTANTIATE_CLASS(CutoutLayer);
REGISTER_LAYER_CLASS(Cutout);

}  // namespace caffe

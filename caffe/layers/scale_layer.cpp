#include "caffe/layers/scale_layer.hpp"

#include <algorithm>

#include "caffe/filler.hpp"
#include "caffe/util/channel_loops.hpp"

namespace caffe {

template <typename Dtype>
void ScaleLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const ScaleParameter& param = this->layer_param_.scale_param();
  auto& blobs = this->blobs_;
  const bool own_gamma = bottom.size() == 1;
  if (blobs.empty()) {
    const auto add = [&](const vector<int>& shape, bool given, FillerParameter filler, float fill) {
      if (!given) filler.set_value(fill);
      blobs.emplace_back(new Blob<Dtype>(shape));
      shared_ptr<Filler<Dtype>>(GetFiller<Dtype>(filler))->Fill(blobs.back().get());
    };
    vector<int> shape;
    if (own_gamma) {
      const int axis = bottom[0]->CanonicalAxisIndex(param.axis());
      const int axes = param.num_axes();
      ENFORCE(axes >= -1 && axis + axes <= bottom[0]->num_axes())
          << "num_axes " << axes << " from axis " << axis << " exceeds the bottom's shape "
          << bottom[0]->shape_string();
      const auto first = bottom[0]->shape().begin() + axis;
      shape.assign(first, axes == -1 ? bottom[0]->shape().end() : first + axes);
      add(shape, param.has_filler(), param.filler(), 1);
    } else {
      shape = bottom[1]->shape();
    }
    if (param.bias_term()) add(shape, param.has_bias_filler(), param.bias_filler(), 0);
  }
  beta_ = param.bias_term() ? static_cast<int>(blobs.size()) - 1 : -1;
  ENFORCE(blobs.size() == size_t(own_gamma) + param.bias_term())
      << blobs.size() << " stored parameter blobs where " << own_gamma + param.bias_term()
      << " are expected";
  this->param_propagate_down_.resize(blobs.size(), true);
  (void)top;
}

template <typename Dtype>
void ScaleLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                const vector<Blob<Dtype>*>& top) {
  const ScaleParameter& param = this->layer_param_.scale_param();
  const Blob<Dtype>& gamma = Gamma(bottom);
  axis_ = gamma.num_axes() == 0 ? 0 : bottom[0]->CanonicalAxisIndex(param.axis());
  ENFORCE(axis_ + gamma.num_axes() <= bottom[0]->num_axes())
      << "gamma of shape " << gamma.shape_string() << " does not fit the bottom's "
      << bottom[0]->shape_string() << " from axis " << axis_;
  for (int i = 0; i < gamma.num_axes(); ++i) {
    ENFORCE(gamma.shape(i) == bottom[0]->shape(axis_ + i))
        << "gamma of shape " << gamma.shape_string() << " does not fit the bottom's "
        << bottom[0]->shape_string() << " from axis " << axis_;
  }
  top[0]->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
ChannelBlocks ScaleLayer<Dtype>::View(const Blob<Dtype>& x, const Blob<Dtype>& gamma,
                                      int block) const {
  ChannelBlocks layout;
  layout.block = block;
  layout.num = x.count(0, axis_);
  layout.channels = gamma.count();
  layout.spatial = x.count(axis_ + gamma.num_axes());
  return layout;
}

template <typename Dtype>
vector<Dtype> ScaleLayer<Dtype>::Lanes(const ChannelBlocks& layout, const Dtype* values,
                                       Dtype fill) const {
  vector<Dtype> lanes(layout.groups() * layout.block, Dtype(0));
  for (int c = 0; c < layout.channels; ++c) lanes[c] = values ? values[c] : fill;
  return lanes;
}

template <typename Dtype>
void ScaleLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const bool in_place = bottom[0] == top[0];
  const Blob<Dtype>& gamma = Gamma(bottom);
  // Channel blocks when gamma is per channel; for other axes the plain layout.
  block_ = axis_ == 1 && gamma.num_axes() == 1 ? bottom[0]->data_block() : 1;
  const ChannelBlocks layout = View(*bottom[0], gamma, block_);
  const Dtype* x = bottom[0]->cpu_data(block_);
  Dtype* y = in_place ? top[0]->mutable_cpu_data(block_) : top[0]->overwrite_cpu_data(block_);
  if (in_place) {
    original_.ReshapeLike(*bottom[0]);
    std::copy(x, x + layout.count(), original_.overwrite_cpu_data(block_));
  }
  const vector<Dtype> alpha = Lanes(layout, gamma.cpu_data(), 0);
  const vector<Dtype> beta =
      Lanes(layout, beta_ >= 0 ? this->blobs_[beta_]->cpu_data() : nullptr, 0);
  ChannelAffine(layout, x, alpha.data(), beta.data(), y);
}

template <typename Dtype>
Dtype* ScaleLayer<Dtype>::BetaDiff() {
  return beta_ >= 0 && this->param_propagate_down_[beta_] ? this->blobs_[beta_]->mutable_cpu_diff()
                                                          : nullptr;
}

template <typename Dtype>
void ScaleLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  const bool in_place = bottom[0] == top[0], own_gamma = bottom.size() == 1;
  const Blob<Dtype>& gamma = Gamma(bottom);
  const ChannelBlocks layout = View(*bottom[0], gamma, block_);
  const Dtype* dy = top[0]->cpu_diff(block_);
  Dtype* beta_diff = BetaDiff();
  const bool to_gamma = own_gamma ? this->param_propagate_down_[0] : propagate_down[1];
  if (to_gamma || beta_diff) {
    const Dtype* x = in_place ? original_.cpu_data(block_) : bottom[0]->cpu_data(block_);
    const vector<Dtype> zero(layout.groups() * layout.block, Dtype(0));
    vector<double> sum(zero.size()), dot(zero.size());
    ChannelSums(layout, dy, x, zero.data(), sum.data(), dot.data());
    if (to_gamma) {
      // A parameter's gradient is added to, a bottom's overwritten.
      Dtype* diff = own_gamma ? this->blobs_[0]->mutable_cpu_diff() : bottom[1]->mutable_cpu_diff();
      for (int c = 0; c < layout.channels; ++c) diff[c] = dot[c] + (own_gamma ? diff[c] : 0);
    }
    for (int c = 0; beta_diff && c < layout.channels; ++c) beta_diff[c] += sum[c];
  }
  if (!propagate_down[0]) return;
  const vector<Dtype> alpha = Lanes(layout, gamma.cpu_data(), 0), beta = Lanes(layout, nullptr, 0);
  Dtype* dx =
      in_place ? bottom[0]->mutable_cpu_diff(block_) : bottom[0]->overwrite_cpu_diff(block_);
  ChannelAffine(layout, dy, alpha.data(), beta.data(), dx);
}

INSTANTIATE_CLASS(ScaleLayer);
REGISTER_LAYER_CLASS(Scale);

}  // namespace caffe

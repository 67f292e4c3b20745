#include "caffe/layers/scale_layer.hpp"

#include "caffe/filler.hpp"
#include "caffe/layers/channel_parameter.hpp"
#include "caffe/util/channel_loops.hpp"

namespace caffe {

template <typename Dtype>
void ScaleLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>&) {
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
      shape = SpreadShape(*bottom[0], param.axis(), param.num_axes());
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
}

template <typename Dtype>
void ScaleLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                const vector<Blob<Dtype>*>& top) {
  const Blob<Dtype>& gamma = Gamma(bottom);
  axis_ = SpreadAxis("gamma", *bottom[0], gamma, this->layer_param_.scale_param().axis());
  ENFORCE(beta_ < 0 || this->blobs_[beta_]->count() == gamma.count())
      << "beta of shape " << this->blobs_[beta_]->shape_string() << " does not fit gamma's "
      << gamma.shape_string();
  top[0]->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
void ScaleLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const bool in_place = bottom[0] == top[0];
  const Blob<Dtype>& gamma = Gamma(bottom);
  block_ = SpreadBlock(gamma, axis_, bottom[0]->data_block());
  const ChannelBlocks layout = SpreadLayout(*bottom[0], gamma, axis_, block_);
  const Dtype* x = bottom[0]->cpu_data(block_);
  Dtype* y = in_place ? top[0]->mutable_cpu_data(block_) : top[0]->overwrite_cpu_data(block_);
  if (in_place) {
    original_.ReshapeLike(*bottom[0]);
    CopyRange(layout.count(), x, original_.overwrite_cpu_data(block_));
  }
  const vector<Dtype> alpha = SpreadLanes<Dtype>(layout, gamma.cpu_data(), 0);
  const vector<Dtype> beta =
      SpreadLanes<Dtype>(layout, beta_ >= 0 ? this->blobs_[beta_]->cpu_data() : nullptr, 0);
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
  const ChannelBlocks layout = SpreadLayout(*bottom[0], gamma, axis_, block_);
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
  const vector<Dtype> alpha = SpreadLanes<Dtype>(layout, gamma.cpu_data(), 0),
                      beta = SpreadLanes<Dtype>(layout, nullptr, 0);
  Dtype* dx =
      in_place ? bottom[0]->mutable_cpu_diff(block_) : bottom[0]->overwrite_cpu_diff(block_);
  ChannelAffine(layout, dy, alpha.data(), beta.data(), dx);
}

INSTANTIATE_CLASS(ScaleLayer);
REGISTER_LAYER_CLASS(Scale);

}  // namespace caffe

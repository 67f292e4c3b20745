#include "caffe/layers/bias_layer.hpp"

#include "caffe/filler.hpp"
#include "caffe/layers/channel_parameter.hpp"
#include "caffe/util/channel_loops.hpp"

namespace caffe {

template <typename Dtype>
void BiasLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>&) {
  const BiasParameter& param = this->layer_param_.bias_param();
  auto& blobs = this->blobs_;
  const size_t expected = bottom.size() == 1 ? 1 : 0;
  if (blobs.empty() && expected) {
    blobs.emplace_back(new Blob<Dtype>(SpreadShape(*bottom[0], param.axis(), param.num_axes())));
    shared_ptr<Filler<Dtype>>(GetFiller<Dtype>(param.filler()))->Fill(blobs[0].get());
  }
  ENFORCE(blobs.size() == expected)
      << blobs.size() << " stored parameter blobs where " << expected << " are expected";
  this->param_propagate_down_.resize(blobs.size(), true);
}

template <typename Dtype>
void BiasLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                               const vector<Blob<Dtype>*>& top) {
  axis_ = SpreadAxis("beta", *bottom[0], Beta(bottom), this->layer_param_.bias_param().axis());
  top[0]->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
void BiasLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const Blob<Dtype>& beta = Beta(bottom);
  const int block = SpreadBlock(beta, axis_, bottom[0]->data_block());
  const ChannelBlocks layout = SpreadLayout(*bottom[0], beta, axis_, block);
  const Dtype* x = bottom[0]->cpu_data(block);
  Dtype* y =
      bottom[0] == top[0] ? top[0]->mutable_cpu_data(block) : top[0]->overwrite_cpu_data(block);
  ChannelAffine(layout, x, SpreadLanes<Dtype>(layout, nullptr, 1).data(),
                SpreadLanes<Dtype>(layout, beta.cpu_data(), 0).data(), y);
}

template <typename Dtype>
void BiasLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  const Blob<Dtype>& beta = Beta(bottom);
  const int block = SpreadBlock(beta, axis_, top[0]->diff_block());
  const ChannelBlocks layout = SpreadLayout(*bottom[0], beta, axis_, block);
  const Dtype* dy = top[0]->cpu_diff(block);
  const bool own = bottom.size() == 1;
  if (own ? this->param_propagate_down_[0] : propagate_down[1]) {
    const vector<Dtype> zero = SpreadLanes<Dtype>(layout, nullptr, 0);
    vector<double> sum(zero.size()), unused(zero.size());
    ChannelSums(layout, dy, dy, zero.data(), sum.data(), unused.data());
    // A parameter's gradient is added to, a bottom's overwritten.
    Dtype* diff = own ? this->blobs_[0]->mutable_cpu_diff() : bottom[1]->overwrite_cpu_diff(1);
    for (int c = 0; c < layout.channels; ++c) diff[c] = sum[c] + (own ? diff[c] : Dtype(0));
  }
  if (propagate_down[0] && bottom[0] != top[0]) {
    CopyRange(layout.count(), dy, bottom[0]->overwrite_cpu_diff(block));
  }
}

INSTANTIATE_CLASS(BiasLayer);
REGISTER_LAYER_CLASS(Bias);

}  // namespace caffe

#include "caffe/layers/prelu_layer.hpp"

#include "caffe/filler.hpp"

namespace caffe {

template <typename Dtype>
void PReLULayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  (void)top;
  const PReLUParameter& param = this->layer_param_.prelu_param();
  channel_shared_ = param.channel_shared();
  ENFORCE(bottom[0]->num_axes() >= 2)
      << "PReLU takes N x C x ...; the bottom has shape " << bottom[0]->shape_string();
  const vector<int> shape = channel_shared_ ? vector<int>() : vector<int>{bottom[0]->shape(1)};
  if (this->blobs_.empty()) {
    this->blobs_.emplace_back(new Blob<Dtype>(shape));
    FillerParameter filler = param.filler();
    if (!param.has_filler()) {
      filler.set_type("constant");
      filler.set_value(0.25f);
    }
    shared_ptr<Filler<Dtype>>(GetFiller<Dtype>(filler))->Fill(this->blobs_[0].get());
  }
  this->param_propagate_down_.resize(this->blobs_.size(), true);
}

template <typename Dtype>
void PReLULayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                const vector<Blob<Dtype>*>& top) {
  const int slopes = channel_shared_ ? 1 : bottom[0]->shape(1);
  ENFORCE(this->blobs_[0]->count() == slopes)
      << "has " << this->blobs_[0]->count() << " slope(s) where the bottom of shape "
      << bottom[0]->shape_string() << " asks for " << slopes;
  NeuronLayer<Dtype>::Reshape(bottom, top);
}

template <typename Dtype>
void PReLULayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->cpu_data();
  if (bottom[0] == top[0]) {
    input_.CopyFrom(*bottom[0], false, true);
    x = input_.cpu_data();
  }
  Dtype* y = top[0]->mutable_cpu_data();
  const Dtype* slope = this->blobs_[0]->cpu_data();
  const int channels = bottom[0]->shape(1), size = bottom[0]->count(2);
  const int planes = bottom[0]->shape(0) * channels;
#pragma omp parallel for schedule(static)
  for (int p = 0; p < planes; ++p) {
    const Dtype a = slope[channel_shared_ ? 0 : p % channels];
    for (int i = p * size; i < (p + 1) * size; ++i) y[i] = x[i] > 0 ? x[i] : a * x[i];
  }
}

template <typename Dtype>
void PReLULayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  const Dtype* x = (bottom[0] == top[0] ? &input_ : bottom[0])->cpu_data();
  const Dtype* dy = top[0]->cpu_diff();
  const int channels = bottom[0]->shape(1), size = bottom[0]->count(2);
  const int planes = bottom[0]->shape(0) * channels;
  // Before dx, which in place is written over dy.
  if (this->param_propagate_down(0)) {
    vector<double> sums(channels);
#pragma omp parallel for schedule(static)
    for (int c = 0; c < channels; ++c) {
      for (int p = c; p < planes; p += channels) {
        for (int i = p * size; i < (p + 1) * size; ++i)
          sums[c] += x[i] > 0 ? 0 : double(dy[i]) * x[i];
      }
    }
    Dtype* da = this->blobs_[0]->mutable_cpu_diff();
    for (int c = 0; c < channels; ++c) da[channel_shared_ ? 0 : c] += Dtype(sums[c]);
  }
  if (!propagate_down[0]) return;
  const Dtype* slope = this->blobs_[0]->cpu_data();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
#pragma omp parallel for schedule(static)
  for (int p = 0; p < planes; ++p) {
    const Dtype a = slope[channel_shared_ ? 0 : p % channels];
    for (int i = p * size; i < (p + 1) * size; ++i) dx[i] = x[i] > 0 ? dy[i] : a * dy[i];
  }
}

INSTANTIATE_CLASS(PReLULayer);
REGISTER_LAYER_CLASS(PReLU);

}  // namespace caffe

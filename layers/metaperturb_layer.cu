#include "layers/metaperturb_layer.hpp"

#include "layers/metaperturb_gpu.hpp"

namespace caffe {

namespace {

template <typename Dtype>
void Resize(Blob<Dtype>* blob, int count) {
  if (blob->count() != count) blob->Reshape(vector<int>{count});
}

}  // namespace

template <typename Dtype>
metaperturb::GpuPass<Dtype> MetaPerturbLayer<Dtype>::PassOnGpu(const vector<Blob<Dtype>*>& bottom) {
  const int area = image_.height * image_.width;
  Resize(&gpu_.f, num_ * 4 * channels_);
  Resize(&gpu_.features, channels_ * 8);
  Resize(&gpu_.s, channels_);
  for (Blob<Dtype>* plane : {&gpu_.mean, &gpu_.mean_b1, &gpu_.hidden, &gpu_.hidden_b2}) {
    Resize(plane, num_ * area);
  }
  Resize(&gpu_.spread, num_ * channels_ * 2);
  metaperturb::GpuPass<Dtype> pass;
  pass.num = num_;
  pass.channels = channels_;
  pass.height = image_.height;
  pass.width = image_.width;
  pass.train = this->phase_ == TRAIN;
  pass.size_features[0] = double(channels_) / param_.channel_norm_factor();
  pass.size_features[1] = double(image_.height) / param_.spatial_norm_factor();
  pass.a = a_;
  pass.clip = param_.clip_value();
  pass.slope = slope_;
  pass.noise = Noise(0, bottom.size() > 1 ? bottom[1] : nullptr);
  pass.phi = this->blobs_[0]->gpu_data();
  pass.x = bottom[0]->gpu_data();
  pass.epsilon = bottom.size() > 1 ? bottom[1]->gpu_data() : nullptr;
  pass.f = gpu_.f.mutable_gpu_data();
  pass.features = gpu_.features.mutable_gpu_data();
  pass.s = gpu_.s.mutable_gpu_data();
  pass.mean = gpu_.mean.mutable_gpu_data();
  pass.mean_b1 = gpu_.mean_b1.mutable_gpu_data();
  pass.hidden = gpu_.hidden.mutable_gpu_data();
  pass.hidden_b2 = gpu_.hidden_b2.mutable_gpu_data();
  pass.spread = gpu_.spread.mutable_gpu_data();
  return pass;
}

template <typename Dtype>
void MetaPerturbLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  this->BeginPass();
  a_ = NoiseCoefficient();
  const bool train = this->phase_ == TRAIN;
  Blob<Dtype>&mean = *this->blobs_[1], &variance = *this->blobs_[2];
  metaperturb::GpuForward(PassOnGpu(bottom), OldWeight(), mean.mutable_gpu_data(),
                          variance.mutable_gpu_data(), top[0]->overwrite_gpu_data());
  if (train) this->blobs_[3]->mutable_cpu_data()[0] += 1;  // read by the host alone
  on_gpu_ = true;
}

template <typename Dtype>
void MetaPerturbLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                           const vector<bool>& propagate_down,
                                           const vector<Blob<Dtype>*>& bottom) {
  ENFORCE(bottom.size() < 2 || !propagate_down[1]) << "epsilon gets no gradient";
  const bool learn_phi = this->Learns(0);
  if (!propagate_down[0] && !learn_phi) return;
  const Dtype* dy = top[0]->gpu_diff();
  metaperturb::GpuBackward(PassOnGpu(bottom), dy, bottom[0]->overwrite_gpu_diff(),
                           learn_phi ? this->blobs_[0]->mutable_gpu_diff() : nullptr);
}

INSTANTIATE_LAYER_GPU_FUNCS(MetaPerturbLayer);

}  // namespace caffe

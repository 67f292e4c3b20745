#include "layers/metaperturb_layer.hpp"

#include "layers/gpu_blobs.hpp"
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
  Resize(&gpu_.z, num_ * channels_ * area);
  Resize(&gpu_.f, num_ * 4 * channels_);
  Resize(&gpu_.features, channels_ * 8);
  Resize(&gpu_.s, channels_);
  for (Blob<Dtype>* plane : {&gpu_.mean, &gpu_.mean_b1, &gpu_.hidden, &gpu_.hidden_b2}) {
    Resize(plane, num_ * area);
  }
  Resize(&gpu_.gates, num_ * channels_ * area / 4 + 1);
  metaperturb::GpuPass<Dtype> pass;
  pass.num = num_;
  pass.channels = channels_;
  pass.by_channels = Divisor(channels_);
  pass.height = image_.height;
  pass.width = image_.width;
  Resize(&gpu_.spread, pass.CountBands() * 2);
  pass.train = this->phase_ == TRAIN;
  pass.size_features[0] = double(channels_) / param_.channel_norm_factor();
  pass.size_features[1] = double(image_.height) / param_.spatial_norm_factor();
  pass.a = a_;
  pass.clip = param_.clip_value();
  pass.slope = slope_;
  pass.noise = Noise(0, bottom.size() > 1 ? bottom[1] : nullptr);
  pass.phi = GpuData(*this->blobs_[0]);
  pass.x = GpuData(*bottom[0]);
  pass.epsilon = bottom.size() > 1 ? GpuData(*bottom[1]) : nullptr;
  pass.z = MutableGpuData(&gpu_.z);
  pass.gates = reinterpret_cast<uint8_t*>(MutableGpuData(&gpu_.gates));
  pass.f = MutableGpuData(&gpu_.f);
  pass.features = MutableGpuData(&gpu_.features);
  pass.s = MutableGpuData(&gpu_.s);
  pass.mean = MutableGpuData(&gpu_.mean);
  pass.mean_b1 = MutableGpuData(&gpu_.mean_b1);
  pass.hidden = MutableGpuData(&gpu_.hidden);
  pass.hidden_b2 = MutableGpuData(&gpu_.hidden_b2);
  pass.spread = MutableGpuData(&gpu_.spread);
  return pass;
}

template <typename Dtype>
void MetaPerturbLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  this->BeginPass();
  a_ = NoiseCoefficient();
  Blob<Dtype>&mean = *this->blobs_[1], &variance = *this->blobs_[2];
  metaperturb::InLayer(*this, [&] {
    metaperturb::GpuForward(PassOnGpu(bottom), OldWeight(), MutableGpuData(&mean),
                            MutableGpuData(&variance), OverwriteGpuData(top[0]));
  });
  if (this->phase_ == TRAIN) this->blobs_[3]->mutable_cpu_data()[0] += 1;  // read by the host alone
  on_gpu_ = true;
}

template <typename Dtype>
void MetaPerturbLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                           const vector<bool>& propagate_down,
                                           const vector<Blob<Dtype>*>& bottom) {
  metaperturb::InLayer(*this, [&] {
    ENFORCE(bottom.size() < 2 || !propagate_down[1]) << "epsilon gets no gradient";
    ENFORCE(on_gpu_) << "a backward pass in GPU mode needs a forward pass in GPU mode";
  });
  const bool learn_phi = this->Learns(0);
  if (!propagate_down[0] && !learn_phi) return;
  const Dtype* dy = GpuDiff(*top[0]);
  metaperturb::InLayer(*this, [&] {
    metaperturb::GpuBackward(PassOnGpu(bottom), dy,
                             propagate_down[0] ? OverwriteGpuDiff(bottom[0]) : nullptr,
                             learn_phi ? MutableGpuDiff(this->blobs_[0].get()) : nullptr);
  });
}

INSTANTIATE_LAYER_GPU_FUNCS(MetaPerturbLayer);

}  // namespace caffe

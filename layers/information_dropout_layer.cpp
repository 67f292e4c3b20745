#include "layers/information_dropout_layer.hpp"

#include <omp.h>

#include <cmath>
#include <type_traits>

#include "layers/layer_param.hpp"
#include "layers/metaperturb_kernels.hpp"
#include "layers/metaperturb_reference.hpp"

namespace caffe {

namespace {

const double kMinAlpha = 0.001;

void Sample(const metaperturb::NoiseSource& noise, const metaperturb::ImageShape& shape, int group,
            float* epsilon) {
  metaperturb::BestKernels().sample(noise, shape, group, epsilon);
}
void Sample(const metaperturb::NoiseSource& noise, const metaperturb::ImageShape& shape,
            int channel, double* epsilon) {
  metaperturb::Reference<double>::Sample(shape, noise, channel, epsilon);
}

template <typename Dtype>
Dtype Sigmoid(Dtype a) {
  return 1 / (1 + std::exp(-a));
}

}  // namespace

template <typename Dtype>
void InformationDropoutLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&,
                                                const vector<Blob<Dtype>*>&) {
  metaperturb::InLayer(*this, [&] {
    param_ = metaperturb::LayerParam<InformationDropoutParameter>(this->layer_param_);
    ENFORCE(param_.max_alpha() > 0)
        << "max_alpha is " << param_.max_alpha() << "; it must be positive";
  });
}

template <typename Dtype>
void InformationDropoutLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                             const vector<Blob<Dtype>*>& top) {
  metaperturb::InLayer(*this, [&] {
    const Blob<Dtype>& x = *bottom[0];
    ENFORCE(bottom[0] != top[0] && bottom[1] != top[0])
        << "cannot work in place: give the top a name of its own";
    ENFORCE(x.num_axes() > 1) << "takes N x C x ...; the bottom has shape " << x.shape_string();
    ENFORCE(bottom[1]->shape() == x.shape())
        << "the logits have shape " << bottom[1]->shape_string() << ", x has " << x.shape_string();
    top[0]->ReshapeLike(x);
    if (top.size() > 1) top[1]->Reshape(vector<int>());
    block_ = std::is_same<Dtype, float>::value ? metaperturb::BestKernels().block : 1;
    layout_ = metaperturb::LayoutOf(x, block_);
  });
}

template <typename Dtype>
template <class Body>
void InformationDropoutLayer<Dtype>::ForEachGroup(const Body& body) {
  const bool train = this->phase_ == TRAIN;
  const int size = layout_.spatial * block_, groups = layout_.groups();
  const size_t threads = static_cast<size_t>(omp_get_max_threads());
  if (epsilon_.size() < threads) epsilon_.resize(threads);
  if (train) {
    for (auto& epsilon : epsilon_) epsilon.resize(size);
  }
  metaperturb::ImageShape shape;
  shape.channels = layout_.channels;
  shape.height = layout_.spatial;
  shape.width = 1;
  shape.groups = groups;
#pragma omp parallel for schedule(static)
  for (int n = 0; n < layout_.num; ++n) {
    metaperturb::NoiseSource noise;
    noise.sample = true;
    noise.key = this->noise_key();
    noise.pass = this->noise_pass();
    noise.image = n;
    Dtype* epsilon = train ? epsilon_[omp_get_thread_num()].data() : nullptr;
    for (int g = 0; g < groups; ++g) {
      if (train) Sample(noise, shape, g, epsilon);
      body(n, (size_t(n) * groups + g) * size, size, epsilon);
    }
  }
}

template <typename Dtype>
Dtype InformationDropoutLayer<Dtype>::Alpha(Dtype sigmoid) const {
  return Dtype(kMinAlpha) + Dtype(param_.max_alpha()) * sigmoid;
}

template <typename Dtype>
void InformationDropoutLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                                 const vector<Blob<Dtype>*>& top) {
  this->BeginPass();
  const Dtype* all_x = x_in_.Data(*bottom[0], block_);
  const Dtype* all_a = a_in_.Data(*bottom[1], block_);
  Dtype* all_z = z_out_.Data(top[0], block_);
  const bool wants_kl = top.size() > 1;
  const Dtype largest = Alpha(1);
  const bool mean = param_.test_mean();
  kl_.assign(layout_.num, 0);
  ForEachGroup([&](int n, size_t at, int size, const Dtype* epsilon) {
    const Dtype *x = all_x + at, *a = all_a + at;
    Dtype* z = all_z + at;
    double kl = 0;
    for (int i = 0; i < size; ++i) {
      const Dtype alpha = Alpha(Sigmoid(a[i]));
      const Dtype exponent = epsilon ? alpha * epsilon[i] : mean ? alpha * alpha / 2 : Dtype(0);
      z[i] = exponent != 0 ? x[i] * std::exp(exponent) : x[i];
      if (wants_kl && x[i] != 0) kl -= std::log(alpha / largest);
    }
    kl_[n] += kl;
  });
  z_out_.Done();
  if (!wants_kl) return;
  double sum = 0;
  for (const double kl : kl_) sum += kl;
  top[1]->mutable_cpu_data()[0] = static_cast<Dtype>(sum / layout_.num);
}

template <typename Dtype>
void InformationDropoutLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                                  const vector<bool>& propagate_down,
                                                  const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0] && !propagate_down[1]) return;
  const Dtype* all_x = x_in_.Data(*bottom[0], block_);
  const Dtype* all_a = a_in_.Data(*bottom[1], block_);
  const Dtype* all_dz = dz_in_.Diff(*top[0], block_);
  Dtype* all_dx = propagate_down[0] ? dx_out_.Diff(bottom[0], block_) : nullptr;
  Dtype* all_da = propagate_down[1] ? da_out_.Diff(bottom[1], block_) : nullptr;
  const Dtype kl_diff = top.size() > 1 ? top[1]->cpu_diff()[0] / layout_.num : Dtype(0);
  const Dtype max_alpha = param_.max_alpha();
  const bool mean = param_.test_mean();
  ForEachGroup([&](int, size_t at, int size, const Dtype* epsilon) {
    for (int i = 0; i < size; ++i) {
      const Dtype x = all_x[at + i], dz = all_dz[at + i];
      const Dtype s = Sigmoid(all_a[at + i]), alpha = Alpha(s);
      // The exponent of z's factor, and its derivative to alpha.
      const Dtype exponent = epsilon ? alpha * epsilon[i] : mean ? alpha * alpha / 2 : Dtype(0);
      const Dtype slope = epsilon ? epsilon[i] : mean ? alpha : Dtype(0);
      const Dtype e = exponent != 0 ? std::exp(exponent) : Dtype(1);
      if (all_dx) all_dx[at + i] = dz * e;
      if (!all_da) continue;
      const Dtype through_z = dz * x * e * slope;
      const Dtype through_kl = x != 0 ? kl_diff / alpha : Dtype(0);
      all_da[at + i] = (through_z - through_kl) * max_alpha * s * (1 - s);
    }
  });
  if (all_dx) dx_out_.Done();
  if (all_da) da_out_.Done();
}

INSTANTIATE_CLASS(InformationDropoutLayer);
REGISTER_LAYER_CLASS(InformationDropout);

}  // namespace caffe

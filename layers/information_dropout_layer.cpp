#include "layers/information_dropout_layer.hpp"

#include <omp.h>

#include <algorithm>
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

void Exp(int size, const float* x, float* y) {
  metaperturb::BestKernels().exp(size, x, y);
}
void Exp(int size, const double* x, double* y) {
  for (int i = 0; i < size; ++i) y[i] = std::exp(x[i]);
}
void Sigmoid(int size, const float* a, float* s) {
  metaperturb::BestKernels().logistic(size, a, s);
}
void Sigmoid(int size, const double* a, double* s) {
  for (int i = 0; i < size; ++i) s[i] = 1 / (1 + std::exp(-a[i]));
}
void Log(int size, const float* x, float* y) {
  metaperturb::BestKernels().log_of_fraction(size, x, y);
}
void Log(int size, const double* x, double* y) {
  for (int i = 0; i < size; ++i) y[i] = std::log(x[i]);
}

}  // namespace

template <typename Dtype>
void InformationDropoutLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&,
                                                const vector<Blob<Dtype>*>&) {
  metaperturb::InLayer(*this, [&] {
    param_ = metaperturb::LayerParam<InformationDropoutParameter>(this->layer_param_);
    ENFORCE(param_.max_alpha() > 0 && std::isfinite(param_.max_alpha()))
        << "max_alpha is " << param_.max_alpha() << "; it must be positive and finite";
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
  if (scratch_.size() < threads) scratch_.resize(threads);
  for (Scratch& scratch : scratch_) {
    for (auto* values : {&scratch.epsilon, &scratch.sigmoid, &scratch.alpha, &scratch.factor}) {
      values->resize(size);
    }
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
    Scratch& scratch = scratch_[omp_get_thread_num()];
    for (int g = 0; g < groups; ++g) {
      if (train) Sample(noise, shape, g, scratch.epsilon.data());
      body(n, (size_t(n) * groups + g) * size, size, &scratch);
    }
  }
}

template <typename Dtype>
void InformationDropoutLayer<Dtype>::Strengths(int size, const Dtype* a, Scratch* scratch) const {
  const Dtype least = Dtype(kMinAlpha), range = param_.max_alpha();
  Dtype *s = scratch->sigmoid.data(), *alpha = scratch->alpha.data();
  Sigmoid(size, a, s);
  for (int i = 0; i < size; ++i) alpha[i] = least + range * s[i];
}

template <typename Dtype>
bool InformationDropoutLayer<Dtype>::Factors(int size, Scratch* scratch) const {
  const bool train = this->phase_ == TRAIN;
  if (!train && !param_.test_mean()) return false;
  const Dtype *alpha = scratch->alpha.data(), *epsilon = scratch->epsilon.data();
  Dtype* factor = scratch->factor.data();
  for (int i = 0; i < size; ++i) {
    factor[i] = alpha[i] * (train ? epsilon[i] : alpha[i] / 2);
  }
  Exp(size, factor, factor);
  return true;
}

template <typename Dtype>
void InformationDropoutLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                                 const vector<Blob<Dtype>*>& top) {
  this->BeginPass();
  const Dtype* all_x = x_in_.Data(*bottom[0], block_);
  const Dtype* all_a = a_in_.Data(*bottom[1], block_);
  Dtype* all_z = z_out_.Data(top[0], block_);
  const bool wants_kl = top.size() > 1;
  const Dtype largest = Dtype(kMinAlpha) + Dtype(param_.max_alpha());
  kl_.assign(layout_.num, 0);
  ForEachGroup([&](int n, size_t at, int size, Scratch* scratch) {
    const Dtype* x = all_x + at;
    Dtype *z = all_z + at, *alpha = scratch->alpha.data();
    const Dtype* factor = scratch->factor.data();
    Strengths(size, all_a + at, scratch);
    const bool changes = Factors(size, scratch);
    for (int i = 0; i < size; ++i) z[i] = changes ? x[i] * factor[i] : x[i];
    if (!wants_kl) return;
    for (int i = 0; i < size; ++i) {
      const Dtype ratio = alpha[i] / largest;
      alpha[i] = x[i] != 0 ? ratio : Dtype(1);
    }
    Log(size, alpha, alpha);
    double kl = 0;
#pragma omp simd reduction(- : kl)
    for (int i = 0; i < size; ++i) kl -= alpha[i];
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
  const bool train = this->phase_ == TRAIN;
  ForEachGroup([&](int, size_t at, int size, Scratch* scratch) {
    const Dtype *x = all_x + at, *dz = all_dz + at;
    const Dtype *s = scratch->sigmoid.data(), *alpha = scratch->alpha.data();
    // The exponent's derivative to alpha.
    const Dtype* slope = train ? scratch->epsilon.data() : alpha;
    Dtype* through_x = scratch->factor.data();
    Strengths(size, all_a + at, scratch);
    const bool changes = Factors(size, scratch);
    for (int i = 0; i < size; ++i) through_x[i] = changes ? dz[i] * through_x[i] : dz[i];
    if (all_dx) std::copy_n(through_x, size, all_dx + at);
    if (!all_da) return;
    Dtype* da = all_da + at;
    for (int i = 0; i < size; ++i) {
      const Dtype through_z = changes ? through_x[i] * x[i] * slope[i] : Dtype(0);
      const Dtype through_kl = kl_diff / alpha[i];  // outside the choice, which then is no branch
      da[i] = (through_z - (x[i] != 0 ? through_kl : Dtype(0))) * max_alpha * s[i] * (1 - s[i]);
    }
  });
  if (all_dx) dx_out_.Done();
  if (all_da) da_out_.Done();
}

INSTANTIATE_CLASS(InformationDropoutLayer);
REGISTER_LAYER_CLASS(InformationDropout);

}  // namespace caffe

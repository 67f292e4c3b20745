#include "layers/metaperturb_layer.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "caffe/util/math_functions.hpp"
#include "layers/metaperturb_compute.hpp"
#include "layers/read_phi.hpp"

namespace caffe {

using metaperturb::Compute;
using metaperturb::kKappa;
using metaperturb::kPhiSize;
using metaperturb::kW;

namespace {

// One pass over all images, each on one thread with that thread's scratch memory.
template <class Body>
void ForEachImage(int num, vector<metaperturb::AlignedVector<float>>* scratch, size_t scratch_size,
                  const Body& body) {
  const size_t threads = static_cast<size_t>(omp_get_max_threads());
  if (scratch->size() < threads) scratch->resize(threads);
  for (size_t t = 0; t < threads; ++t) {
    if ((*scratch)[t].size() != scratch_size) (*scratch)[t].assign(scratch_size, 0.0f);
  }
#pragma omp parallel for schedule(static)
  for (int n = 0; n < num; ++n) {
    body(n, (*scratch)[omp_get_thread_num()].data());
  }
}

}  // namespace

template <typename Dtype>
void MetaPerturbLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                         const vector<Blob<Dtype>*>&) {
  metaperturb::InLayer(*this, [&] { SetUpChecked(bottom); });
}

template <typename Dtype>
void MetaPerturbLayer<Dtype>::SetUpChecked(const vector<Blob<Dtype>*>& bottom) {
  param_ = metaperturb::GetParam(this->layer_param_);
  const MetaPerturbParameter& param = param_;
  ENFORCE(bottom[0]->num_axes() == 4)
      << "takes N x C x H x W; the bottom has shape " << bottom[0]->shape_string();
  ENFORCE(param.channel_norm_factor() > 0)
      << "channel_norm_factor is " << param.channel_norm_factor() << "; it must be positive";
  ENFORCE(param.spatial_norm_factor() > 0)
      << "spatial_norm_factor is " << param.spatial_norm_factor() << "; it must be positive";
  ENFORCE(param.clip_value() > 0) << "clip_value is " << param.clip_value()
                                  << "; it must be positive";
  ENFORCE(param.noise_coeff() >= 0 && param.noise_coeff() <= 1)
      << "noise_coeff is " << param.noise_coeff() << "; it must lie in [0, 1]";
  ENFORCE(param.moving_average_fraction() >= 0 && param.moving_average_fraction() < 1)
      << "moving_average_fraction is " << param.moving_average_fraction()
      << "; it must lie in [0, 1)";
  channels_ = bottom[0]->channels();
  InitBlobs();
  SetLearningRates();
}

template <typename Dtype>
void MetaPerturbLayer<Dtype>::InitBlobs() {
  auto& blobs = this->blobs_;
  const vector<int> stats = {channels_, 4};
  if (!blobs.empty()) {
    ENFORCE(blobs.size() == 3 || blobs.size() == 4)
        << blobs.size() << " stored parameter blobs where 4 are expected";
    ENFORCE(blobs[0]->count() == kPhiSize) << "stored phi has " << blobs[0]->count()
                                           << " values where " << kPhiSize << " are expected";
    for (int i = 1; i < 3; ++i) {
      ENFORCE(blobs[i]->shape() == stats)
          << "stored statistics have shape " << blobs[i]->shape_string() << " for " << channels_
          << " channels";
    }
    // Without a count the layer has not been trained.
    if (blobs.size() == 3) blobs.emplace_back(new Blob<Dtype>(vector<int>{1}));
    return;
  }
  blobs.emplace_back(new Blob<Dtype>(vector<int>{kPhiSize}));
  const string& file = param_.phi();
  if (file.empty()) {
    if (this->phase_ == TRAIN && this->layer_param_.param_size() == 0) {
      LOG(WARNING) << "Layer '" << this->layer_param_.name()
                   << "': phi is random and is not learned, unless weights bring one: "
                      "metaperturb_param.phi is not given";
    }
    caffe_rng_gaussian(kPhiSize, Dtype(0), Dtype(0.01), blobs[0]->mutable_cpu_data());
  } else {
    const vector<double> phi = ReadPhi(file);
    std::copy(phi.begin(), phi.end(), blobs[0]->mutable_cpu_data());
  }
  blobs.emplace_back(new Blob<Dtype>(stats));
  blobs.emplace_back(new Blob<Dtype>(stats));
  blobs.emplace_back(new Blob<Dtype>(vector<int>{1}));
  caffe_set(channels_ * 4, Dtype(0), blobs[1]->mutable_cpu_data());
  caffe_set(channels_ * 4, Dtype(1), blobs[2]->mutable_cpu_data());
  caffe_set(1, Dtype(0), blobs[3]->mutable_cpu_data());
}

// Statistics are never learned; phi is where a `param` entry is given.
template <typename Dtype>
void MetaPerturbLayer<Dtype>::SetLearningRates() {
  LayerParameter& param = this->layer_param_;
  const int given = param.param_size();
  for (int i = 0; i < 4; ++i) {
    ParamSpec* spec = i < given ? param.mutable_param(i) : param.add_param();
    if (i == 0 && given > 0) continue;
    spec->set_lr_mult(0);
    spec->set_decay_mult(0);
  }
}

template <typename Dtype>
void MetaPerturbLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  metaperturb::InLayer(*this, [&] { ReshapeChecked(bottom, top); });
}

template <typename Dtype>
void MetaPerturbLayer<Dtype>::ReshapeChecked(const vector<Blob<Dtype>*>& bottom,
                                             const vector<Blob<Dtype>*>& top) {
  const Blob<Dtype>& x = *bottom[0];
  ENFORCE(bottom[0] != top[0]) << "cannot work in place: give the top a name of its own";
  ENFORCE(x.num_axes() == 4 && x.channels() == channels_)
      << "the bottom has shape " << x.shape_string() << " where " << channels_
      << " channels are expected";
  ENFORCE(x.count() > 0) << "the bottom has no elements: its shape is " << x.shape_string();
  ENFORCE(bottom.size() < 2 || bottom[1]->shape() == x.shape())
      << "epsilon has shape " << bottom[1]->shape_string() << ", x has " << x.shape_string();
  ENFORCE(this->phase_ == TEST || x.num() > 1)
      << "the batch holds 1 image: TRAIN needs at least 2, for the variance over the batch";
  top[0]->ReshapeLike(x);
  num_ = x.num();
  block_ = std::is_same<Dtype, float>::value ? metaperturb::BestKernels().block : 1;
  const ChannelBlocks layout = {block_, num_, channels_, x.height() * x.width()};
  lanes_ = layout.groups() * block_;
  image_size_ = size_t(lanes_) * layout.spatial;
  // The kernels' scratch memory is zero at first for each shape, though two may ask for as much.
  if (image_.height != x.height() || image_.width != x.width()) scratch_.clear();
  image_.channels = channels_;
  image_.height = x.height();
  image_.width = x.width();
  image_.groups = layout.groups();
  if (metaperturb::ComputesOnGpu()) return;
  z_.resize(num_ * image_size_);
  scale_.Reshape(num_, channels_, lanes_, double(channels_) / param_.channel_norm_factor(),
                 double(x.height()) / param_.spatial_norm_factor());
  if (!std::is_same<Dtype, float>::value) return;
  const size_t signs =
      size_t(num_) * layout.groups() * layout.spatial * metaperturb::BestKernels().bits_size;
  if (this->phase_ == TRAIN) kappa_signs_.resize(4 * signs);
  mu_signs_.resize(signs);
}

#ifndef METAPERTURB_FOREIGN_HOST
template <typename Dtype>
bool MetaPerturbLayer<Dtype>::Absorb(Layer<Dtype>* next) {
  if (!std::is_same<Dtype, float>::value || slope_ != 1 || string(next->type()) != "ReLU") {
    return false;
  }
  slope_ = next->layer_param().relu_param().negative_slope();
  return true;
}
#endif

template <typename Dtype>
metaperturb::Output<Dtype> MetaPerturbLayer<Dtype>::OutputOf() const {
  return {scale_.s(), a_, Dtype(param_.clip_value()), slope_};
}

template <typename Dtype>
Dtype MetaPerturbLayer<Dtype>::NoiseCoefficient() const {
  Dtype a = param_.noise_coeff();
  if (param_.anneal_iter() > 0) {
    a *= std::min(Dtype(1), this->blobs_[3]->cpu_data()[0] / Dtype(param_.anneal_iter()));
  }
  return a;
}

// As it was written: 0.9, not the nearest float.
template <typename Dtype>
double MetaPerturbLayer<Dtype>::OldWeight() const {
  return std::round(double(param_.moving_average_fraction()) * 1e7) / 1e7;
}

template <typename Dtype>
metaperturb::NoiseSource MetaPerturbLayer<Dtype>::Noise(int image,
                                                        const Blob<Dtype>* epsilon) const {
  metaperturb::NoiseSource noise;
  noise.sample = !epsilon && param_.noise() == MetaPerturbParameter_Noise_SAMPLE;
  noise.key = this->noise_key();
  noise.pass = this->noise_pass();
  noise.image = image;
  return noise;
}

template <typename Dtype>
void MetaPerturbLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  const Blob<Dtype>* epsilon_blob = bottom.size() > 1 ? bottom[1] : nullptr;
  const Dtype* phi = this->blobs_[0]->cpu_data();
  this->BeginPass();
  const Dtype* x = x_in_.Data(*bottom[0], block_);
  const Dtype* epsilon = epsilon_blob ? epsilon_in_.Data(*epsilon_blob, block_) : nullptr;
  const size_t scratch_size = Compute<Dtype>::ScratchSize(image_);
  const size_t signs = Compute<Dtype>::SignsSize(image_);
  on_gpu_ = false;
  a_ = NoiseCoefficient();
  if (this->phase_ == TRAIN) {
    ForEachImage(num_, &scratch_, scratch_size, [&](int n, float* scratch) {
      Compute<Dtype>::Statistics(image_, phi, x + n * image_size_, scale_.f(n),
                                 kappa_signs_.data() + n * 4 * signs, scratch);
    });
    scale_.FromBatch(phi + kW, OldWeight(), this->blobs_[1]->mutable_cpu_data(),
                     this->blobs_[2]->mutable_cpu_data());
    this->blobs_[3]->mutable_cpu_data()[0] += 1;
  } else {
    scale_.FromRunning(phi + kW, this->blobs_[1]->cpu_data(), this->blobs_[2]->cpu_data());
  }
  Dtype* z = z_.data();
  Dtype* y = y_out_.Data(top[0], block_);
  const metaperturb::Output<Dtype> output = OutputOf();
  ForEachImage(num_, &scratch_, scratch_size, [&](int n, float* scratch) {
    const size_t at = n * image_size_;
    Compute<Dtype>::Perturb(image_, phi, x + at, epsilon ? epsilon + at : nullptr,
                            Noise(n, epsilon_blob), output, z + at, y + at,
                            mu_signs_.data() + n * signs, scratch);
  });
  y_out_.Done();
}

template <typename Dtype>
void MetaPerturbLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                           const vector<bool>& propagate_down,
                                           const vector<Blob<Dtype>*>& bottom) {
  metaperturb::InLayer(*this, [&] {
    ENFORCE(bottom.size() < 2 || !propagate_down[1]) << "epsilon gets no gradient";
    ENFORCE(!on_gpu_) << "a backward pass in CPU mode needs a forward pass in CPU mode";
  });
  const bool learn_phi = this->Learns(0);
  if (!propagate_down[0] && !learn_phi) return;
  const Dtype* phi = this->blobs_[0]->cpu_data();
  const Dtype* x = x_in_.Data(*bottom[0], block_);
  const Dtype* z = z_.data();
  const Dtype* dy = dy_in_.Diff(*top[0], block_);
  // Where x's gradient is not wanted, x.diff stays as it is, as another layer may count on it.
  if (!propagate_down[0]) unwanted_.resize(omp_get_max_threads());
  for (auto& dx : unwanted_) dx.resize(propagate_down[0] ? 0 : image_size_);
  Dtype* const dx = propagate_down[0] ? dx_out_.Diff(bottom[0], block_) : nullptr;
  const auto dx_of = [&](int n) {
    return dx ? dx + n * image_size_ : unwanted_[omp_get_thread_num()].data();
  };
  if (learn_phi) dphi_.assign(size_t(num_) * kPhiSize, Dtype(0));
  const metaperturb::Output<Dtype> output = OutputOf();
  const size_t scratch_size = Compute<Dtype>::ScratchSize(image_);
  const size_t signs = Compute<Dtype>::SignsSize(image_);
  const auto dphi_of = [&](int n) {
    return learn_phi ? &dphi_[size_t(n) * kPhiSize] : static_cast<Dtype*>(nullptr);
  };
  ForEachImage(num_, &scratch_, scratch_size, [&](int n, float* scratch) {
    const size_t at = n * image_size_;
    Compute<Dtype>::BackwardNoise(image_, phi, x + at, z + at, dy + at, output,
                                  mu_signs_.data() + n * signs, dx_of(n), scale_.ds(n), dphi_of(n),
                                  scratch);
  });
  Dtype* phi_diff = learn_phi ? this->blobs_[0]->mutable_cpu_diff() : nullptr;
  scale_.Backward(phi + kW, phi_diff ? phi_diff + kW : nullptr);
  if (this->phase_ == TRAIN) {
    ForEachImage(num_, &scratch_, scratch_size, [&](int n, float* scratch) {
      const size_t at = n * image_size_;
      Compute<Dtype>::BackwardScale(image_, phi, x + at, kappa_signs_.data() + n * 4 * signs,
                                    scale_.df(n), dx_of(n), dphi_of(n), scratch);
    });
  }
  if (dx) dx_out_.Done();
  if (!learn_phi) return;
  // Image by image in order: the same sum for any number of threads.
  for (int i = 0; i < kW; ++i) {
    double sum = 0;
    for (int n = 0; n < num_; ++n) sum += dphi_[size_t(n) * kPhiSize + i];
    phi_diff[i] += sum;
  }
}

template <typename Dtype>
vector<Dtype> MetaPerturbLayer<Dtype>::Scale() const {
  const Dtype* s = on_gpu_ ? gpu_.s.cpu_data() : scale_.s();
  return vector<Dtype>(s, s + channels_);
}

namespace {

// Of `count` values, given their sum and the sum of their squares.
template <typename Spread>
Spread SpreadOf(double sum, double squares, double count) {
  const double mean = sum / count;
  return {mean, std::sqrt(std::max(0.0, squares / count - mean * mean))};
}

}  // namespace

template <typename Dtype>
typename MetaPerturbLayer<Dtype>::Spread MetaPerturbLayer<Dtype>::NoiseSpread() const {
  const size_t spatial = size_t(image_.height) * image_.width;
  const double count = double(num_) * channels_ * spatial;
  double sum = 0, squares = 0;
  if (on_gpu_) {
    const double* spread = gpu_.spread.cpu_data();
    for (int i = 0; i < gpu_.spread.count() / 2; ++i) {
      sum += spread[2 * i];
      squares += spread[2 * i + 1];
    }
    return SpreadOf<Spread>(sum, squares, count);
  }
  for (size_t i = 0; i < z_.size(); ++i) {
    const size_t in_image = i % image_size_;
    const size_t channel = in_image / (spatial * block_) * block_ + in_image % block_;
    if (channel >= static_cast<size_t>(channels_)) continue;  // fills the last block
    sum += z_[i];
    squares += double{z_[i]} * z_[i];
  }
  return SpreadOf<Spread>(sum, squares, count);
}

template <typename Dtype>
typename MetaPerturbLayer<Dtype>::Spread MetaPerturbLayer<Dtype>::ScaleSpread() const {
  double sum = 0, squares = 0;
  for (const Dtype s : Scale()) {
    sum += s;
    squares += double{s} * s;
  }
  return SpreadOf<Spread>(sum, squares, channels_);
}

INSTANTIATE_CLASS(MetaPerturbLayer);
REGISTER_LAYER_CLASS(MetaPerturb);

}  // namespace caffe

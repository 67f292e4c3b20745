#include <cmath>

#include "caffe/util/channel_kernels.hpp"
#include "caffe/util/layer_kernels.hpp"
#include "layers/gpu_blobs.hpp"
#include "layers/information_dropout_layer.hpp"
#include "util/philox.hpp"

namespace caffe {

namespace {

template <typename Dtype>
CAFFE_HOST_DEVICE inline Dtype Logistic(Dtype a) {
  return 1 / (1 + std::exp(-a));
}

/// alpha, and what the noise makes of it: z = x exp(Exponent).
template <typename Dtype>
struct Strength {
  Dtype least, range;  // alpha = least + range sigmoid(a)
  bool train, mean;    // mean: z's mean in TEST
  CAFFE_HOST_DEVICE Dtype Alpha(Dtype sigmoid) const { return least + range * sigmoid; }
  CAFFE_HOST_DEVICE Dtype Exponent(Dtype alpha, Dtype epsilon) const {
    return train ? alpha * epsilon : mean ? alpha * alpha / 2 : Dtype(0);
  }
  /// The derivative of Exponent to alpha.
  CAFFE_HOST_DEVICE Dtype Slope(Dtype alpha, Dtype epsilon) const {
    return train ? epsilon : mean ? alpha : Dtype(0);
  }
  CAFFE_HOST_DEVICE Dtype Factor(Dtype alpha, Dtype epsilon) const {
    const Dtype exponent = Exponent(alpha, epsilon);
    return exponent != 0 ? std::exp(exponent) : Dtype(1);
  }
};

template <typename Dtype>
struct InformationForward {
  Strength<Dtype> strength;
  const Dtype *x, *a;
  Dtype* z;
  CAFFE_HOST_DEVICE void operator()(size_t i, Dtype epsilon) const {
    z[i] = x[i] * strength.Factor(strength.Alpha(Logistic(a[i])), epsilon);
  }
};

template <typename Dtype>
struct InformationBackward {
  Strength<Dtype> strength;
  Dtype num;
  const Dtype *x, *a, *dz;
  const Dtype* dkl;  // null: there is none
  Dtype *dx, *da;    // either may be null
  CAFFE_HOST_DEVICE void operator()(size_t i, Dtype epsilon) const {
    const Dtype s = Logistic(a[i]), alpha = strength.Alpha(s);
    const Dtype through_x = dz[i] * strength.Factor(alpha, epsilon);
    if (da) {
      const Dtype through_z = through_x * x[i] * strength.Slope(alpha, epsilon);
      const Dtype through_kl = dkl && x[i] != 0 ? dkl[0] / num / alpha : Dtype(0);
      da[i] = (through_z - through_kl) * strength.range * s * (1 - s);
    }
    if (dx) dx[i] = through_x;
  }
};

// body(element, epsilon); i counts what one Philox counter is for: four pixels of a channel.
template <typename Dtype, class Body>
struct WithNoise {
  uint64_t key, pass;
  Divisor quads;
  int spatial;
  bool sample;  // else epsilon = 0
  Body body;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int plane = quads.Quotient(i), quad = quads.Remainder(i), first = 4 * quad;
    float normal[4] = {};
    if (sample) {
      const Philox bits =
          Philox::At(key, static_cast<uint32_t>(quad), static_cast<uint32_t>(plane),
                     static_cast<uint32_t>(pass), static_cast<uint32_t>(pass >> 32));
      PhiloxNormalPair(bits.v[0], bits.v[1], &normal[0], &normal[1]);
      PhiloxNormalPair(bits.v[2], bits.v[3], &normal[2], &normal[3]);
    }
    const int pixels = spatial - first < 4 ? spatial - first : 4;
    for (int j = 0; j < pixels; ++j) body(size_t(plane) * spatial + first + j, Dtype(normal[j]));
  }
};

template <typename Dtype, class Body>
void ForEachElement(const ChannelBlocks& layout, bool sample, uint64_t key, uint64_t pass,
                    const Body& body) {
  const int quads = (layout.spatial + 3) / 4;
  ForEachIndex(layout.num * layout.channels * quads,
               WithNoise<Dtype, Body>{key, pass, Divisor(quads), layout.spatial, sample, body});
}

template <typename Dtype>
struct KlTerms {
  Strength<Dtype> strength;
  const Dtype *x, *a;
  CAFFE_HOST_DEVICE void operator()(int, int i, double* pair) const {
    if (x[i] != 0) {
      pair[0] -= std::log(strength.Alpha(Logistic(a[i])) / strength.Alpha(Dtype(1)));
    }
  }
};

template <typename Dtype>
struct StoreKl {
  double num;
  Dtype* kl;
  CAFFE_HOST_DEVICE void operator()(int, double sum, double) const {
    *kl = static_cast<Dtype>(sum / num);
  }
};

template <typename Dtype>
Strength<Dtype> StrengthOf(const InformationDropoutParameter& param, Phase phase) {
  return {Dtype(0.001), Dtype(param.max_alpha()), phase == TRAIN, param.test_mean()};
}

}  // namespace

template <typename Dtype>
void InformationDropoutLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                                 const vector<Blob<Dtype>*>& top) {
  this->BeginPass();
  const auto strength = StrengthOf<Dtype>(param_, this->phase_);
  const Dtype *x = GpuData(*bottom[0]), *a = GpuData(*bottom[1]);
  ForEachElement<Dtype>(layout_, strength.train, this->noise_key(), this->noise_pass(),
                        InformationForward<Dtype>{strength, x, a, OverwriteGpuData(top[0])});
  if (top.size() < 2) return;
  ChannelBlocks whole;  // one channel
  whole.num = whole.channels = 1;
  whole.spatial = bottom[0]->count();
  SumChannels<double>(whole, KlTerms<Dtype>{strength, x, a},
                      StoreKl<Dtype>{double(layout_.num), OverwriteGpuData(top[1])});
}

template <typename Dtype>
void InformationDropoutLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                                  const vector<bool>& propagate_down,
                                                  const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0] && !propagate_down[1]) return;
  const auto strength = StrengthOf<Dtype>(param_, this->phase_);
  const Dtype* dkl = top.size() > 1 ? GpuDiff(*top[1]) : nullptr;
  InformationBackward<Dtype> backward{strength,
                                      Dtype(layout_.num),
                                      GpuData(*bottom[0]),
                                      GpuData(*bottom[1]),
                                      GpuDiff(*top[0]),
                                      dkl,
                                      nullptr,
                                      nullptr};
  if (propagate_down[0]) backward.dx = OverwriteGpuDiff(bottom[0]);
  if (propagate_down[1]) backward.da = OverwriteGpuDiff(bottom[1]);
  ForEachElement<Dtype>(layout_, strength.train, this->noise_key(), this->noise_pass(), backward);
}

INSTANTIATE_LAYER_GPU_FUNCS(InformationDropoutLayer);

}  // namespace caffe

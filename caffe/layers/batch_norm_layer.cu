#include "caffe/layers/batch_norm_layer.hpp"
#include "caffe/util/channel_kernels.hpp"

namespace caffe {

namespace {

// y = r(alpha (x - mean) + shift). Unlike alpha x + beta, it loses nothing where the mean is far
// from zero.
template <typename Dtype>
struct Affine {
  Dtype mean, alpha, shift, slope;
  CAFFE_HOST_DEVICE Dtype BeforeRelu(Dtype x) const { return alpha * (x - mean) + shift; }
  CAFFE_HOST_DEVICE Dtype operator()(Dtype x, Dtype) const {
    const Dtype t = BeforeRelu(x);
    return t > 0 ? t : slope * t;
  }
  // The gradient dy behind the ReLU.
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, Dtype dy) const {
    return BeforeRelu(x) > 0 ? dy : slope * dy;
  }
};

// dx = alpha g + b (x - mean) + d
template <typename Dtype>
struct AffineGradient {
  Affine<Dtype> affine;
  Dtype b, d;
  CAFFE_HOST_DEVICE Dtype operator()(Dtype dy, Dtype x) const {
    return affine.alpha * affine.Gradient(x, dy) + b * (x - affine.mean) + d;
  }
};

// What the backward pass needs of each channel, one array after another.
template <typename Dtype>
struct OfChannels {
  Dtype *pivot, *mean, *inv_std, *alpha, *shift;
  OfChannels(Dtype* memory, int channels)
      : pivot(memory),
        mean(pivot + channels),
        inv_std(mean + channels),
        alpha(inv_std + channels),
        shift(alpha + channels) {}
  CAFFE_HOST_DEVICE Affine<Dtype> Get(int c, Dtype slope) const {
    return {mean[c], alpha[c], shift[c], slope};
  }
  CAFFE_HOST_DEVICE void Set(int c, Dtype inverse, const Affine<Dtype>& affine) const {
    mean[c] = affine.mean;
    inv_std[c] = inverse;
    alpha[c] = affine.alpha;
    shift[c] = affine.shift;
  }
};

// The absorbed layers.
template <typename Dtype>
struct Absorbed {
  const Dtype *gamma, *beta;  // may be null
  Dtype slope;
  CAFFE_HOST_DEVICE Affine<Dtype> Behind(int c, Dtype mean, Dtype inv_std) const {
    return {mean, gamma ? gamma[c] * inv_std : inv_std, beta ? beta[c] : Dtype(0), slope};
  }
};

// Shifted by one value of each channel, its pivot, the sums do not cancel. It is kept: a pass in
// place writes over it.
template <typename Dtype>
struct ShiftedTerms {
  const Dtype* x;
  int spatial;
  Dtype* pivots;
  struct Channel {
    const Dtype* x;
    Dtype pivot;
    template <int kWidth>
    CAFFE_HOST_DEVICE void Add(int at, Dtype* pair) const {
      const auto values = LoadNeighbours<kWidth>(x + at);
      for (int k = 0; k < kWidth; ++k) {
        const Dtype distance = values.at[k] - pivot;
        pair[0] += distance;
        pair[1] += distance * distance;
      }
    }
  };
  CAFFE_HOST_DEVICE Channel Of(int c) const { return {x, x[size_t(c) * spatial]}; }
  CAFFE_HOST_DEVICE void Keep(int c) const { pivots[c] = x[size_t(c) * spatial]; }
};

// Mean and deviation of the batch, from those sums, and a step of the running statistics. Many
// threads compute the former: it has no division in double, which GPUs do in many instructions.
template <typename Dtype>
struct BatchStatistics {
  static const bool kReadsV = false;
  double inverse_m, unbiased;  // 1 / m and m / (m - 1), of the number m of values per channel
  Dtype old, eps;
  Absorbed<Dtype> absorbed;
  OfChannels<Dtype> channels;
  Dtype *running_mean, *running_var, *weight;
  CAFFE_HOST_DEVICE Dtype Mean(int c, double sum) const {
    return static_cast<Dtype>(channels.pivot[c] + sum * inverse_m);
  }
  CAFFE_HOST_DEVICE double Variance(double sum, double dot) const {
    const double shifted_mean = sum * inverse_m;
    const double square = dot * inverse_m - shifted_mean * shifted_mean;
    return square > 0 ? square : 0;
  }
  CAFFE_HOST_DEVICE Dtype InverseDeviation(double sum, double dot) const {
    return 1 / std::sqrt(static_cast<Dtype>(Variance(sum, dot) + eps));
  }
  CAFFE_HOST_DEVICE Affine<Dtype> Of(int c, double sum, double dot) const {
    return absorbed.Behind(c, Mean(c, sum), InverseDeviation(sum, dot));
  }
  CAFFE_HOST_DEVICE void operator()(int c, double sum, double dot) const {
    channels.Set(c, InverseDeviation(sum, dot), Of(c, sum, dot));
    running_mean[c] = old * running_mean[c] + Mean(c, sum);
    running_var[c] = static_cast<Dtype>(old * running_var[c] + Variance(sum, dot) * unbiased);
    if (c == 0) weight[0] = old * weight[0] + 1;
  }
};

template <typename Dtype>
struct StoredStatistics {
  static const bool kReadsV = false;
  const Dtype *running_mean, *running_var, *weight;
  Dtype eps;
  Absorbed<Dtype> absorbed;
  OfChannels<Dtype> channels;
  CAFFE_HOST_DEVICE Dtype Factor() const { return weight[0] == 0 ? 0 : 1 / weight[0]; }
  CAFFE_HOST_DEVICE Dtype InverseDeviation(int c) const {
    return 1 / std::sqrt(running_var[c] * Factor() + eps);
  }
  CAFFE_HOST_DEVICE Affine<Dtype> Of(int c, double, double) const {
    return absorbed.Behind(c, running_mean[c] * Factor(), InverseDeviation(c));
  }
  CAFFE_HOST_DEVICE void operator()(int c, double, double) const {
    channels.Set(c, InverseDeviation(c), Of(c, 0, 0));
  }
};

// Of the gradient g behind the ReLU: sum g, and sum g (x - mean).
template <typename Dtype>
struct GradientTerms {
  const Dtype *x, *dy;
  OfChannels<Dtype> channels;
  Dtype slope;
  struct Channel {
    const Dtype *x, *dy;
    Affine<Dtype> affine;
    template <int kWidth>
    CAFFE_HOST_DEVICE void Add(int at, Dtype* pair) const {
      const auto xs = LoadNeighbours<kWidth>(x + at), dys = LoadNeighbours<kWidth>(dy + at);
      for (int k = 0; k < kWidth; ++k) {
        const Dtype g = affine.Gradient(xs.at[k], dys.at[k]);
        pair[0] += g;
        pair[1] += g * (xs.at[k] - affine.mean);
      }
    }
  };
  CAFFE_HOST_DEVICE Channel Of(int c) const { return {x, dy, channels.Get(c, slope)}; }
  CAFFE_HOST_DEVICE void Keep(int) const {}
};

// From those sums the gradients of gamma and beta, which are added to, and what goes through mean
// and variance: dx += b (x - mean) + d.
template <typename Dtype>
struct FinishGradient {
  static const bool kReadsV = true;
  double inverse_m;
  bool global;  // the statistics are not of the batch
  OfChannels<Dtype> channels;
  Dtype slope;
  Dtype *gamma, *beta;  // the diffs; null where there is none to compute
  CAFFE_HOST_DEVICE AffineGradient<Dtype> Of(int c, double sum, double dot) const {
    const Affine<Dtype> affine = channels.Get(c, slope);
    if (global) return {affine, 0, 0};
    const double inverse = channels.inv_std[c];
    return {affine, static_cast<Dtype>(-affine.alpha * inverse * inverse * dot * inverse_m),
            static_cast<Dtype>(-affine.alpha * sum * inverse_m)};
  }
  CAFFE_HOST_DEVICE void operator()(int c, double sum, double dot) const {
    if (gamma) gamma[c] = static_cast<Dtype>(gamma[c] + dot * channels.inv_std[c]);
    if (beta) beta[c] = static_cast<Dtype>(beta[c] + sum);
  }
};

}  // namespace

template <typename Dtype>
void BatchNormLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  const BatchNormParameter& param = this->layer_param_.batch_norm_param();
  const ChannelBlocks layout = bottom[0]->Blocks(1);
  if (layout.count() == 0) return;
  auto& blobs = this->blobs_;
  of_channels_.Reshape(vector<int>{5, channels_});
  const OfChannels<Dtype> channels(of_channels_.overwrite_gpu_data(), channels_);
  const bool has_beta = scale_ && scale_->blobs().size() > 1;
  const Absorbed<Dtype> absorbed = {scale_ ? scale_->blobs()[0]->gpu_data() : nullptr,
                                    has_beta ? scale_->blobs()[1]->gpu_data() : nullptr, slope_};
  const Dtype eps = param.eps();
  const Dtype* x = bottom[0]->gpu_data();
  Dtype* kept = nullptr;
  if (bottom[0] == top[0]) {
    x_.ReshapeLike(*bottom[0]);
    kept = x_.overwrite_gpu_data();
  }
  Dtype* y = top[0]->overwrite_gpu_data();
  const bool four = FourAtOnce(layout.spatial, {x, kept, y});
  const ChannelMap<Dtype> map = {x, nullptr, kept, y};
  if (use_global_stats_) {
    MapChannels(layout, four, {},
                StoredStatistics<Dtype>{blobs[0]->gpu_data(), blobs[1]->gpu_data(),
                                        blobs[2]->gpu_data(), eps, absorbed, channels},
                map);
    return;
  }
  DeviceWorkspace memory;
  const ChannelPartSums sums = SumChannelParts<Dtype>(
      layout, four, ShiftedTerms<Dtype>{x, layout.spatial, channels.pivot}, &memory);
  const double m = double(layout.num) * layout.spatial;
  MapChannels(
      layout, four, sums,
      BatchStatistics<Dtype>{1 / m, m > 1 ? m / (m - 1) : 1, Dtype(param.moving_average_fraction()),
                             eps, absorbed, channels, blobs[0]->mutable_gpu_data(),
                             blobs[1]->mutable_gpu_data(), blobs[2]->mutable_gpu_data()},
      map);
}

template <typename Dtype>
void BatchNormLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  const bool gamma_learns = scale_ && scale_->param_propagate_down(0);
  const bool beta_learns = scale_ && scale_->blobs().size() > 1 && scale_->param_propagate_down(1);
  const bool scale_learns = gamma_learns || beta_learns;
  const ChannelBlocks layout = bottom[0]->Blocks(1);
  if ((!propagate_down[0] && !scale_learns) || layout.count() == 0) return;
  const OfChannels<Dtype> channels(of_channels_.mutable_gpu_data(), channels_);
  const bool in_place = bottom[0] == top[0];
  const Dtype* x = in_place ? x_.gpu_data() : bottom[0]->gpu_data();
  const Dtype* dy = top[0]->gpu_diff();
  Dtype* dx = propagate_down[0] ? bottom[0]->overwrite_gpu_diff() : nullptr;
  const bool four = FourAtOnce(layout.spatial, {x, dy, dx});
  DeviceWorkspace memory;
  ChannelPartSums sums;
  if (!use_global_stats_ || scale_learns) {
    sums = SumChannelParts<Dtype>(layout, four, GradientTerms<Dtype>{x, dy, channels, slope_},
                                  &memory);
  }
  const FinishGradient<Dtype> finish = {
      1 / (double(layout.num) * layout.spatial),
      use_global_stats_,
      channels,
      slope_,
      gamma_learns ? scale_->blobs()[0]->mutable_gpu_diff() : nullptr,
      beta_learns ? scale_->blobs()[1]->mutable_gpu_diff() : nullptr};
  if (dx) {
    MapChannels(layout, four, sums, finish, ChannelMap<Dtype>{dy, x, nullptr, dx});
  } else {
    FinishChannels(channels_, sums, finish);
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(BatchNormLayer);

}  // namespace caffe

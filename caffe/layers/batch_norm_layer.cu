#include "caffe/layers/batch_norm_layer.hpp"
#include "caffe/util/layer_kernels.hpp"

namespace caffe {

namespace {

// Shifted by one value of each channel, the sums do not cancel.
template <typename Dtype>
struct ShiftedTerms {
  const Dtype* x;
  int spatial;
  CAFFE_HOST_DEVICE void operator()(int c, int i, Dtype* pair) const {
    const Dtype distance = x[i] - x[size_t(c) * spatial];
    pair[0] += distance;
    pair[1] += distance * distance;
  }
};

// Mean and deviation of the batch, from those sums, and a step of the running statistics.
template <typename Dtype>
struct BatchStatistics {
  const Dtype* x;
  int spatial;
  double m;  // values per channel
  Dtype old, eps;
  Dtype *mean, *inv_std;
  Dtype *running_mean, *running_var, *weight;
  CAFFE_HOST_DEVICE void operator()(int c, double sum, double dot) const {
    const double shifted_mean = sum / m, square = dot / m - shifted_mean * shifted_mean;
    const double var = square > 0 ? square : 0;
    mean[c] = static_cast<Dtype>(x[size_t(c) * spatial] + shifted_mean);
    inv_std[c] = static_cast<Dtype>(1 / std::sqrt(var + eps));
    running_mean[c] = old * running_mean[c] + mean[c];
    running_var[c] = static_cast<Dtype>(old * running_var[c] + var * (m > 1 ? m / (m - 1) : 1));
    if (c == 0) weight[0] = old * weight[0] + 1;
  }
};

template <typename Dtype>
struct StoredStatistics {
  const Dtype *running_mean, *running_var, *weight;
  Dtype eps;
  Dtype *mean, *inv_std;
  CAFFE_HOST_DEVICE void operator()(int c) const {
    const Dtype factor = weight[0] == 0 ? 0 : 1 / weight[0];
    mean[c] = running_mean[c] * factor;
    inv_std[c] = 1 / std::sqrt(running_var[c] * factor + eps);
  }
};

template <typename Dtype>
struct Normalize {
  ChannelIndex channel;
  const Dtype *mean, *inv_std, *x;
  Dtype* kept;  // gets x; may be null
  Dtype* y;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int c = channel(i);
    const Dtype value = x[i];
    if (kept) kept[i] = value;
    y[i] = (value - mean[c]) * inv_std[c];
  }
};

template <typename Dtype>
struct BatchGradientTerms {
  const Dtype *x, *dy, *mean;
  CAFFE_HOST_DEVICE void operator()(int c, int i, Dtype* pair) const {
    pair[0] += dy[i];
    pair[1] += dy[i] * (x[i] - mean[c]);
  }
};

// What goes through mean and variance: dx += slope (x - mean) + offset.
template <typename Dtype>
struct GradientOfStatistics {
  double m;
  const Dtype* inv_std;
  Dtype *slope, *offset;
  CAFFE_HOST_DEVICE void operator()(int c, double sum, double dot) const {
    const double a = inv_std[c];
    slope[c] = static_cast<Dtype>(-a * a * a * dot / m);
    offset[c] = static_cast<Dtype>(-a * sum / m);
  }
};

template <typename Dtype>
struct BackwardBatch {
  ChannelIndex channel;
  const Dtype *mean, *inv_std, *slope, *offset, *x, *dy;
  Dtype* dx;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int c = channel(i);
    dx[i] = inv_std[c] * dy[i] + slope[c] * (x[i] - mean[c]) + offset[c];
  }
};

template <typename Dtype>
struct BackwardGlobal {
  ChannelIndex channel;
  const Dtype *inv_std, *dy;
  Dtype* dx;
  CAFFE_HOST_DEVICE void operator()(int i) const { dx[i] = inv_std[channel(i)] * dy[i]; }
};

}  // namespace

template <typename Dtype>
void BatchNormLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  // A net built in CPU mode, whose layers were fused.
  if (scale_ || slope_ != 1) return Forward_cpu(bottom, top);
  const BatchNormParameter& param = this->layer_param_.batch_norm_param();
  const ChannelBlocks layout = bottom[0]->Blocks(1);
  if (layout.count() == 0) return;
  const bool in_place = bottom[0] == top[0];
  auto& blobs = this->blobs_;
  of_channels_.Reshape(vector<int>{4, channels_});
  Dtype *mean = of_channels_.overwrite_gpu_data(), *inv_std = mean + channels_;
  const Dtype eps = param.eps();
  const Dtype* x = bottom[0]->gpu_data();
  if (use_global_stats_) {
    ForEachIndex(channels_, StoredStatistics<Dtype>{blobs[0]->gpu_data(), blobs[1]->gpu_data(),
                                                    blobs[2]->gpu_data(), eps, mean, inv_std});
  } else {
    const double m = double(layout.num) * layout.spatial;
    SumChannels<Dtype>(
        layout, ShiftedTerms<Dtype>{x, layout.spatial},
        BatchStatistics<Dtype>{x, layout.spatial, m, Dtype(param.moving_average_fraction()), eps,
                               mean, inv_std, blobs[0]->mutable_gpu_data(),
                               blobs[1]->mutable_gpu_data(), blobs[2]->mutable_gpu_data()});
  }
  Dtype* kept = nullptr;
  if (in_place) {
    x_.ReshapeLike(*bottom[0]);
    kept = x_.overwrite_gpu_data();
  }
  ForEachIndex(bottom[0]->count(), Normalize<Dtype>{ChannelIndex(layout), mean, inv_std, x, kept,
                                                    top[0]->overwrite_gpu_data()});
}

template <typename Dtype>
void BatchNormLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  if (scale_ || slope_ != 1) return Backward_cpu(top, propagate_down, bottom);
  const ChannelBlocks layout = bottom[0]->Blocks(1);
  if (!propagate_down[0] || layout.count() == 0) return;
  const int count = bottom[0]->count();
  Dtype *mean = of_channels_.mutable_gpu_data(), *inv_std = mean + channels_;
  const Dtype* dy = top[0]->gpu_diff();
  const ChannelIndex channel(layout);
  if (use_global_stats_) {
    ForEachIndex(count,
                 BackwardGlobal<Dtype>{channel, inv_std, dy, bottom[0]->overwrite_gpu_diff()});
    return;
  }
  const Dtype* x = bottom[0] == top[0] ? x_.gpu_data() : bottom[0]->gpu_data();
  Dtype *slope = inv_std + channels_, *offset = slope + channels_;
  const double m = double(layout.num) * layout.spatial;
  SumChannels<Dtype>(layout, BatchGradientTerms<Dtype>{x, dy, mean},
                     GradientOfStatistics<Dtype>{m, inv_std, slope, offset});
  ForEachIndex(count, BackwardBatch<Dtype>{channel, mean, inv_std, slope, offset, x, dy,
                                           bottom[0]->overwrite_gpu_diff()});
}

INSTANTIATE_LAYER_GPU_FUNCS(BatchNormLayer);

}  // namespace caffe

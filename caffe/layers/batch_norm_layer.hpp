#ifndef CAFFE_BATCH_NORM_LAYER_HPP_
#define CAFFE_BATCH_NORM_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "util/channel_blocks.hpp"

namespace caffe {

/// Batch normalisation (Ioffe and Szegedy, 2015), without scale and shift, which a Scale layer
/// adds:
///     y = (x - mean[c]) / sqrt(var[c] + eps)
/// mean and (biased) variance of the batch, or, with use_global_stats (default: in TEST), the
/// running ones. batch_norm_param: moving_average_fraction = 0.999, eps = 1e-5, use_global_stats.
/// blobs, never learned: [0] running mean x [2], [1] running variance x [2], [2] 1: their weight.
/// In a pass with batch statistics: blob <- moving_average_fraction blob + (mean; unbiased
/// variance; 1).
/// In float, a Scale layer and then a ReLU layer that work in place on the top are computed in the
/// same passes over memory: y = r(gamma x_hat + beta).
/// Bottom: N x C x ... (one axis: C = 1); the top has its shape.
///     dx = (dy - mean(dy) - x_hat mean(dy x_hat)) / sqrt(var[c] + eps), means over the channel's
///     batch; with running statistics dx = dy / sqrt(var[c] + eps).
/// Errors: eps not above 0; moving_average_fraction outside of [0, 1]; another number of channels
/// than before; stored statistics that do not fit; a param whose lr_mult is not 0.
template <typename Dtype>
class BatchNormLayer : public Layer<Dtype> {
 public:
  explicit BatchNormLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "BatchNorm"; }
  int ExactNumBottomBlobs() const override { return 1; }
  int ExactNumTopBlobs() const override { return 1; }
  bool Absorb(Layer<Dtype>* next) override;
  bool BackwardReadsTop() const override { return false; }
  bool BackwardKeepsTopDiff() const override { return true; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

 private:
  void ComputeStatistics(const ChannelBlocks& layout, const Dtype* x);
  /// alpha_ and beta_ of this pass: y = r(alpha x + beta).
  void ComputeAffine();
  /// Adds to the diffs of the absorbed Scale's gamma and beta, from per-lane sums of the gradient g
  /// before gamma: sum g, and dot = sum g (x - mean).
  void ScaleGradient(const double* sum, const double* dot);

  bool use_global_stats_ = false;
  int channels_ = 0;
  int block_ = 1;
  // Per lane, of the last forward pass.
  vector<Dtype> mean_, inv_std_, alpha_, beta_;
  vector<Dtype> b_, d_;
  vector<double> sum_, dot_;
  // On the device, one after another: what its passes keep of each channel.
  Blob<Dtype> of_channels_;
  Blob<Dtype> x_;                  // copy of x, kept only when working in place
  Layer<Dtype>* scale_ = nullptr;  // absorbed, as is a ReLU of this slope; 1: none
  Dtype slope_ = 1;
};

}  // namespace caffe

#endif  // CAFFE_BATCH_NORM_LAYER_HPP_

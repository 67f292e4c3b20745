#ifndef METAPERTURB_LAYERS_METAPERTURB_LAYER_HPP_
#define METAPERTURB_LAYERS_METAPERTURB_LAYER_HPP_

#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/proto/caffe.pb.h"
#include "layers/aligned_vector.hpp"
#include "layers/host.hpp"
#include "layers/metaperturb_gpu.hpp"
#include "layers/metaperturb_kernels.hpp"
#include "layers/metaperturb_param.hpp"
#include "layers/metaperturb_scale.hpp"

namespace caffe {

/// MetaPerturb (Ryu, Shin, Lee, Hwang, NeurIPS 2020, arXiv 2006.07540): multiplies a feature map x,
/// N x C x H x W, by noise that a small learned function phi computes from x itself.
///
///     Op(x; a, b)[n,c] = a * x[n,c] + b * mean_c' x[n,c']              permutation-equivariant
///     mu = Op(ReLU(Op(x; a1, b1)); a2, b2)
///     z  = softplus(mu + epsilon)                                      input-dependent noise
///     f[n,c,k] = mean_hw ReLU(kappa_k * x[n,c]),  k = 1..4
///     s[c] = sigmoid(w . (mean_n f[c,1..4], var_n f[c,1..4], C / C_norm, H / H_norm))
///     y = min(x (1 + coeff (s z - 1)), clip_value)
///
/// `*` is the cross-correlation with a 3x3 kernel that all channels share, zero padding 1. TRAIN
/// takes mean and unbiased variance over the batch and updates the running ones, whose new weight
/// is 1 - moving_average_fraction (the variance is multiplied by N / (N - 1) once more, as in the
/// authors' code); TEST takes the running ones. The gradient reaches x through every path, and phi.
///
/// bottoms: x; optionally epsilon of the same shape, which gets no gradient. Top: y; not in place.
/// blobs: [0] phi, 82 values: a1[9] b1[9] a2[9] b2[9] kappa[4x9] w[10]
///        [1] running mean, C x 4   [2] running variance, C x 4   [3] TRAIN passes so far, 1
/// metaperturb_param (proto/metaperturb.proto), or the same as text in python_param.param_str:
///   channel_norm_factor = 64 (C_norm), spatial_norm_factor = 32 (H_norm), clip_value = 100, all
///   positive; noise_coeff = 1: coeff; anneal_iter = 0: TRAIN passes over which coeff rises
///   linearly from 0 to noise_coeff; noise = SAMPLE: epsilon ~ N(0, 1) in both phases, MEAN:
///   epsilon = 0; moving_average_fraction = 0.9; phi: file with phi, else phi is drawn from N(0,
///   0.01^2).
/// In float, a ReLU that works in place on the top is computed in the same pass.
/// A layer with no `param` entry keeps phi fixed (without a file it warns); `param { name: "phi" }`
/// shares and learns it.
/// Weights that hold a layer of this name (--weights, a snapshot) bring all four blobs, whatever
/// file `phi` names: for another phi, or to anneal anew, the layer needs another name.
///
/// Errors: TRAIN with N = 1; x without four axes, or with another number of channels than before;
/// phi of another size; a missing or damaged phi file; in-place use; noise_coeff outside of [0, 1],
/// moving_average_fraction outside of [0, 1), a norm factor not above 0.
template <typename Dtype>
class MetaPerturbLayer : public metaperturb::HostLayer<Dtype> {
 public:
  explicit MetaPerturbLayer(const LayerParameter& param) : metaperturb::HostLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "MetaPerturb"; }
  int MinBottomBlobs() const override { return 1; }
  int MaxBottomBlobs() const override { return 2; }
  int ExactNumTopBlobs() const override { return 1; }
  bool AllowForceBackward(int bottom_index) const override { return bottom_index == 0; }

#ifndef METAPERTURB_FOREIGN_HOST
  bool Absorb(Layer<Dtype>* next) override;
  bool BackwardReadsTop() const override {
    return false;
  }
  bool BackwardKeepsTopDiff() const override {
    return true;
  }
#endif

  /// Where the perturbation acts: mean and standard deviation of the noise z of the last forward
  /// pass, over N x C x H x W, and of its scale s, over C.
  struct Spread {
    double mean, deviation;
  };
  Spread NoiseSpread() const;
  Spread ScaleSpread() const;
  /// s of the last forward pass, C values.
  vector<Dtype> Scale() const;

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
#ifdef METAPERTURB_GPU_HALVES
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
#endif

 private:
  void SetUpChecked(const vector<Blob<Dtype>*>& bottom);
  void ReshapeChecked(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top);
  void InitBlobs();
  void SetLearningRates();
  Dtype NoiseCoefficient() const;
  double OldWeight() const;
  metaperturb::GpuPass<Dtype> PassOnGpu(const vector<Blob<Dtype>*>& bottom);
  metaperturb::NoiseSource Noise(int image, const Blob<Dtype>* epsilon) const;
  metaperturb::Output<Dtype> OutputOf() const;

  MetaPerturbParameter param_;
  int num_ = 0, channels_ = 0;
  int block_ = 1;  // channel blocks that the computation runs in; 1 in double
  int lanes_ = 0;  // channels, filled up to whole blocks
  metaperturb::ImageShape image_;
  size_t image_size_ = 0;  // elements of one image in blocks
  Dtype a_ = 1;
  Dtype slope_ = 1;  // of an absorbed ReLU; 1: none
  // Of the last forward pass: z and the signs of the ReLUs of every image (float only).
  metaperturb::AlignedVector<Dtype> z_;
  vector<char> kappa_signs_, mu_signs_;
  metaperturb::BlockedInput<Dtype> x_in_, epsilon_in_, dy_in_;
  metaperturb::BlockedOutput<Dtype> y_out_, dx_out_;
  metaperturb::ChannelScale<Dtype> scale_;
  metaperturb::AlignedVector<Dtype> dphi_;              // by image
  vector<metaperturb::AlignedVector<float>> scratch_;   // per thread
  vector<metaperturb::AlignedVector<Dtype>> unwanted_;  // dx of an image where no one wants it, too
  // The last forward pass ran on the GPU, and what it kept (metaperturb_gpu.hpp).
  bool on_gpu_ = false;
  struct {
    Blob<Dtype> z, f, features, s, mean, mean_b1, hidden, hidden_b2;
    Blob<double> spread;
    Blob<int> gates;  // bytes
  } gpu_;
};

}  // namespace caffe

#endif  // METAPERTURB_LAYERS_METAPERTURB_LAYER_HPP_

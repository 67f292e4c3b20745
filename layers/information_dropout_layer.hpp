#ifndef METAPERTURB_LAYERS_INFORMATION_DROPOUT_LAYER_HPP_
#define METAPERTURB_LAYERS_INFORMATION_DROPOUT_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/proto/regularizers.pb.h"
#include "layers/aligned_vector.hpp"
#include "layers/host.hpp"

namespace caffe {

/// Information dropout (Achille, Soatto, "Information dropout: learning optimal representations
/// through noisy computation", IEEE TPAMI 2018, arXiv 1611.01353) for ReLU activations x >= 0 with
/// the log-uniform prior: multiplies x by log-normal noise whose strength alpha the network
/// computes from its input. With the logits a, element by element:
///     alpha = 0.001 + max_alpha sigmoid(a)         the 0.001 as in the authors' code
///     TRAIN: z = x exp(alpha epsilon), epsilon ~ N(0, 1)
///     TEST:  z = x; with test_mean z's mean, x exp(alpha^2 / 2)
///     KL = 1/N sum over elements with x != 0 of ln(max_alpha + 0.001) - ln(alpha), in both phases
/// KL is the divergence from the prior, -ln alpha + constant where x is not 0 and constant where it
/// is (proposition 3; the authors' code counts all elements); the constant is chosen so that KL is
/// 0 at the strongest noise. It is summed over an image and averaged over the batch. Its
/// loss_weight is the paper's beta; in the authors' code beta over the number of training images.
///     dx = dz exp(alpha epsilon)
///     da = (dz z epsilon - dKL / N [x != 0] / alpha) max_alpha s (1 - s),  s = sigmoid(a)
/// (TEST: 0, with test_mean alpha / 2, in place of epsilon in dx, and 0, alpha in da). Batch
/// normalisation behind the layer has learned the statistics of noisy values, whose mean is
/// exp(alpha^2 / 2) times that of x: there, z = x in TEST can cost nearly all accuracy. The
/// authors' code has z = x, too, but learns those statistics anew, without noise, before it tests;
/// there is no such pass here, and test_mean is what a network with batch normalisation needs. The
/// noise is that of Philox in layers/metaperturb_kernels.hpp.
///
/// bottoms: x, N x C x ...; a of the same shape. Tops: z, not in place; optionally KL, a scalar.
/// information_dropout_param: max_alpha = 0.7, where the noise's variance is about 1;
/// test_mean = false.
///
/// Errors: max_alpha not above 0; shapes that differ or have less than two axes; in-place use.
template <typename Dtype>
class InformationDropoutLayer : public metaperturb::HostLayer<Dtype> {
 public:
  explicit InformationDropoutLayer(const LayerParameter& param)
      : metaperturb::HostLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "InformationDropout"; }
  int ExactNumBottomBlobs() const override { return 2; }
  int MinTopBlobs() const override { return 1; }
  int MaxTopBlobs() const override { return 2; }

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
  // Of one thread and group of channels.
  struct Scratch {
    metaperturb::AlignedVector<Dtype> epsilon, sigmoid, alpha, factor;
  };
  // Calls body(image, first element, number of elements, scratch) for every group of channels, with
  // epsilon in TRAIN; those of one image come in order, on one thread.
  template <class Body>
  void ForEachGroup(const Body& body);
  // sigmoid(a) and alpha.
  void Strengths(int size, const Dtype* a, Scratch* scratch) const;
  // z / x, given alpha; false, and nothing computed, where it is 1 everywhere.
  bool Factors(int size, Scratch* scratch) const;

  InformationDropoutParameter param_;
  int block_ = 1;  // channel blocks that the computation runs in; 1 in double
  ChannelBlocks layout_;
  vector<double> kl_;  // per image
  vector<Scratch> scratch_;
  metaperturb::BlockedInput<Dtype> x_in_, a_in_, dz_in_;
  metaperturb::BlockedOutput<Dtype> z_out_, dx_out_, da_out_;
};

}  // namespace caffe

#endif  // METAPERTURB_LAYERS_INFORMATION_DROPOUT_LAYER_HPP_

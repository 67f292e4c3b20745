#ifndef METAPERTURB_LAYERS_METAPERTURB_GPU_HPP_
#define METAPERTURB_LAYERS_METAPERTURB_GPU_HPP_

#include "caffe/util/divisor.hpp"
#include "layers/metaperturb_kernels.hpp"

namespace metaperturb {

/// One pass of MetaPerturb on the device of GPU mode; metaperturb_layer.hpp has the formula and the
/// names. All pointers are the device's, all arrays plain.
template <typename Dtype>
struct GpuPass {
  int num = 0, channels = 0, height = 0, width = 0;
  caffe::Divisor by_channels{1};
  bool train = false;            // the statistics are those of the batch
  double size_features[2] = {};  // C / C_norm, H / H_norm
  Dtype a = 1, clip = 0, slope = 1;
  NoiseSource noise;
  const Dtype* phi = nullptr;
  const Dtype* x = nullptr;        // N x C x H x W
  const Dtype* epsilon = nullptr;  // the same, or null: `noise` says
  // Written by the forward pass, read by the backward pass:
  Dtype* z = nullptr;          // N x C x H x W; negative where the ReLU inside mu does not pass
  uint8_t* gates = nullptr;    // the same, TRAIN: bit k says whether the ReLU of kappa_k * x passes
  Dtype* f = nullptr;          // N x C x 4
  Dtype* features = nullptr;   // C x 8: mean and variance of f[.,c,1..4]
  Dtype* s = nullptr;          // C
  Dtype* mean = nullptr;       // N x H x W: mean_c x
  Dtype* mean_b1 = nullptr;    // b1 * mean
  Dtype* hidden = nullptr;     // N x H x W: mean_c ReLU(Op(x; a1, b1))
  Dtype* hidden_b2 = nullptr;  // b2 * hidden
  double* spread = nullptr;    // CountBands() x 2: sums of z and of its squares

  /// Parts that N x C x H x W is divided into.
  int CountBands() const;
};

/// y, and what the backward pass needs. TRAIN updates the running mean and variance, C x 4, whose
/// new weight is 1 - old_weight; TEST reads them.
template <typename Dtype>
void GpuForward(const GpuPass<Dtype>& pass, double old_weight, Dtype* running_mean,
                Dtype* running_var, Dtype* y);

/// dx, unless null, and unless null, phi_diff[0..81] is added to. dx may be dy.
template <typename Dtype>
void GpuBackward(const GpuPass<Dtype>& pass, const Dtype* dy, Dtype* dx, Dtype* phi_diff);

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_METAPERTURB_GPU_HPP_

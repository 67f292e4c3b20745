#ifndef METAPERTURB_LAYERS_METAPERTURB_SCALE_HPP_
#define METAPERTURB_LAYERS_METAPERTURB_SCALE_HPP_

#include "layers/aligned_vector.hpp"

namespace metaperturb {

/// The scale s[c] of MetaPerturb (metaperturb_layer.hpp has the formula) on the CPU: from the
/// statistics f of every image forward, to their gradient backward. Sums are formed in double, over
/// the images in order.
template <typename Dtype>
class ChannelScale {
 public:
  /// Channels are filled up to `lanes`, whole blocks. C_share = C / C_norm, H_share = H / H_norm.
  void Reshape(int num, int channels, int lanes, double C_share, double H_share);

  /// f[image][k][lane], k = 0..3, which the caller writes before FromBatch.
  Dtype* f(int image) { return &f_[size_t(image) * 4 * lanes_]; }
  /// From the batch's mean and unbiased variance of f; updates the running ones, C x 4, whose new
  /// weight is 1 - old (the variance is multiplied by N / (N - 1) once more). w: phi's last ten.
  void FromBatch(const Dtype* w, double old, Dtype* running_mean, Dtype* running_var);
  /// From the running ones.
  void FromRunning(const Dtype* w, const Dtype* running_mean, const Dtype* running_var);
  /// s, `lanes` values; 0 in lanes that hold no channel.
  const Dtype* s() const { return s_.data(); }

  /// dL/ds[lane] by image, which the caller writes before Backward.
  Dtype* ds(int image) { return &ds_[size_t(image) * lanes_]; }
  /// Adds dL/dw to dw[0..9] unless null.
  void Backward(const Dtype* w, Dtype* dw);
  /// After Backward, s being FromBatch: dL/df[image][k][lane]; 0 in lanes that hold no channel.
  const Dtype* df(int image) const { return &df_[size_t(image) * 4 * lanes_]; }

 private:
  void Compute(const Dtype* w);

  int num_ = 0, channels_ = 0, lanes_ = 0;
  double C_share_ = 0, H_share_ = 0;
  bool from_batch_ = false;
  AlignedVector<Dtype> f_, s_, ds_, df_;
  AlignedVector<double> mean_, variance_;              // [k][lane], what s was formed from
  AlignedVector<double> ds_sum_, constant_, of_mean_;  // df = constant + of_mean (f - mean)
};

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_METAPERTURB_SCALE_HPP_

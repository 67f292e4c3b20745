#ifndef METAPERTURB_LAYERS_METAPERTURB_REFERENCE_HPP_
#define METAPERTURB_LAYERS_METAPERTURB_REFERENCE_HPP_

#include "layers/metaperturb_kernels.hpp"

namespace metaperturb {

/// The functions of metaperturb::Kernels in plain loops on C x H x W: the oracle for the fast ones,
/// and what the layer computes with in double. Where a NoiseSource names epsilon, `epsilon` is it.
template <typename Dtype>
struct Reference {
  static void Statistics(const ImageShape& shape, const Dtype* phi, const Dtype* x, Dtype* f);
  static void Perturb(const ImageShape& shape, const Dtype* phi, const Dtype* x,
                      const Dtype* epsilon, const NoiseSource& noise, const Output<Dtype>& output,
                      Dtype* z, Dtype* y);
  static void BackwardNoise(const ImageShape& shape, const Dtype* phi, const Dtype* x,
                            const Dtype* z, const Dtype* dy, const Output<Dtype>& output, Dtype* dx,
                            Dtype* ds, Dtype* dphi);
  static void BackwardScale(const ImageShape& shape, const Dtype* phi, const Dtype* x,
                            const Dtype* df, Dtype* dx, Dtype* dphi);
  /// Noise of one channel, H x W.
  static void Sample(const ImageShape& shape, const NoiseSource& noise, int channel,
                     Dtype* epsilon);
};

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_METAPERTURB_REFERENCE_HPP_

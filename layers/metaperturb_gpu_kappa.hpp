#ifndef METAPERTURB_LAYERS_METAPERTURB_GPU_KAPPA_HPP_
#define METAPERTURB_LAYERS_METAPERTURB_GPU_KAPPA_HPP_

#include "layers/metaperturb_gpu_bands.hpp"
#include "layers/metaperturb_kernels.hpp"

namespace metaperturb {

/// What a neighbour gives through element t of a plane's kappas turned around, for each combination
/// of their four gates, bit k of which says whether the ReLU of kappa_k * x passes there; in the
/// shared memory of a warp, for its band's planes.
template <typename Dtype>
struct KappaTable {
  // One value more than there are combinations: those of different t begin in different banks.
  static const int kStride = 17, kOfPlane = 9 * kStride;
  Dtype* values;
  CAFFE_HOST_DEVICE KappaTable(Block* warp, const Bands& bands)
      : values(warp->Shared<Dtype>(Count(bands))) {}
  static CAFFE_HOST_DEVICE int Count(const Bands& bands) { return bands.together * kOfPlane; }
  CAFFE_HOST_DEVICE Dtype At(int slot, int t, int gates) const {
    return values[slot * kOfPlane + t * kStride + gates];
  }
  /// df(slot, k): what reaches kappa_k * x where its ReLU passes, in the band's plane `slot`.
  template <class Gradient>
  CAFFE_HOST_DEVICE void Fill(const Block& warp, const Bands& bands, const Band& band,
                              const Dtype* phi, const Gradient& df) const {
    warp.Run(bands.together * 9, [&](int i) {
      const int slot = i / 9, t = i - slot * 9;
      if (band.first + slot >= bands.planes) return;
      Dtype sums[16];
      sums[0] = 0;
      for (int k = 0; k < 4; ++k) {
        const Dtype of_k = df(slot, k) * phi[kKappa + 9 * k + 8 - t];
        for (int gates = 0; gates < 1 << k; ++gates) sums[gates + (1 << k)] = sums[gates] + of_k;
      }
      for (int gates = 0; gates < 16; ++gates) values[i * kStride + gates] = sums[gates];
    });
  }
};

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_METAPERTURB_GPU_KAPPA_HPP_

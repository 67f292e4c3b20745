#ifndef METAPERTURB_TOOLS_METAPERTURB_PERTURBATION_SCORES_HPP_
#define METAPERTURB_TOOLS_METAPERTURB_PERTURBATION_SCORES_HPP_

#include <string>
#include <vector>

#include "caffe/net.hpp"

namespace metaperturb {

/// Where a trained network is perturbed: per MetaPerturb layer, mean and standard deviation of the
/// noise z (over images, channels and places) and of the scale s (over channels), each the mean
/// over the forward passes that were added. The layer multiplies its input by 1 + a (s z - 1).
class PerturbationScores {
 public:
  struct Layer {
    std::string name;
    double noise_mean = 0, noise_deviation = 0, scale_mean = 0, scale_deviation = 0;
  };
  /// Takes in the net's last forward pass.
  void Add(const caffe::Net<float>& net);
  /// In the order of the net; empty for one without MetaPerturb.
  std::vector<Layer> layers() const;

 private:
  std::vector<Layer> sums_;
  int passes_ = 0;
};

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_METAPERTURB_PERTURBATION_SCORES_HPP_

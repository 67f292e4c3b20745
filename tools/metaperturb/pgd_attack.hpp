#ifndef METAPERTURB_TOOLS_METAPERTURB_PGD_ATTACK_HPP_
#define METAPERTURB_TOOLS_METAPERTURB_PGD_ATTACK_HPP_

#include <cstdint>
#include <vector>

#include "tools/metaperturb/noise_sampler.hpp"

namespace metaperturb {

struct PgdOptions {
  bool infinity_norm = true;  // else the Euclidean norm of an image
  double epsilon = 0;         // radius, in pixel values 0 to 255
  int steps = 20;
  int samples = 1;    // of the noise, whose mean gradient is followed
  uint64_t seed = 1;  // of the random start
};

/// Projected gradient descent on the batch's images (Madry et al., ICLR 2018), against the mean
/// loss over noise samples (expectation over transformations: Athalye et al., ICML 2018): from a
/// random start in the ball of radius epsilon, `steps` steps of 2.5 epsilon / steps along the sign
/// of the gradient, or along the gradient with norm 1, each followed by projection onto the ball
/// and onto pixel values from 0 to 255. Units are translated by the data layer's transform_param
/// (scale and mean_value; a mean_file is an Error). `batch` counts batches, for the random start.
class PgdAttack {
 public:
  /// `net` as the sampler was made of.
  PgdAttack(const caffe::NetParameter& net, NoiseSampler* sampler);

  /// Replaces the sampler's images.
  void Run(const PgdOptions& options, int64_t batch);

 private:
  void Project(const PgdOptions& options);

  NoiseSampler* const sampler_;
  double scale_ = 1;
  std::vector<double> means_;
  std::vector<float> clean_;
  std::vector<double> gradient_;
};

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_METAPERTURB_PGD_ATTACK_HPP_

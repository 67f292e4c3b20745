#include "tools/metaperturb/perturbation_scores.hpp"

#include "layers/metaperturb_layer.hpp"

namespace metaperturb {

void PerturbationScores::Add(const caffe::Net<float>& net) {
  size_t at = 0;
  for (const auto& layer : net.layers()) {
    const auto* perturbation = dynamic_cast<const caffe::MetaPerturbLayer<float>*>(layer.get());
    if (!perturbation) continue;
    if (at == sums_.size()) {
      sums_.emplace_back();
      sums_.back().name = layer->layer_param().name();
    }
    const auto noise = perturbation->NoiseSpread(), scale = perturbation->ScaleSpread();
    Layer& sum = sums_[at++];
    sum.noise_mean += noise.mean;
    sum.noise_deviation += noise.deviation;
    sum.scale_mean += scale.mean;
    sum.scale_deviation += scale.deviation;
  }
  ++passes_;
}

std::vector<PerturbationScores::Layer> PerturbationScores::layers() const {
  std::vector<Layer> means = sums_;
  for (Layer& mean : means) {
    mean.noise_mean /= passes_;
    mean.noise_deviation /= passes_;
    mean.scale_mean /= passes_;
    mean.scale_deviation /= passes_;
  }
  return means;
}

}  // namespace metaperturb

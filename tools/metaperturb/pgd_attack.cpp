#include "tools/metaperturb/pgd_attack.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "util/error.hpp"
#include "util/philox.hpp"

namespace metaperturb {

using caffe::Blob;

PgdAttack::PgdAttack(const caffe::NetParameter& net, NoiseSampler* sampler) : sampler_(sampler) {
  bool found = false;
  for (const caffe::LayerParameter& layer : net.layer()) {
    if (found || layer.top_size() < 2 || layer.bottom_size() > 0) continue;
    found = true;
    const caffe::TransformationParameter& transform = layer.transform_param();
    ENFORCE(!transform.has_mean_file())
        << "layer '" << layer.name() << "' subtracts a mean_file: attacks know mean_value only";
    scale_ = transform.scale();
    means_.assign(transform.mean_value().begin(), transform.mean_value().end());
  }
  if (means_.empty()) means_.push_back(0);
}

void PgdAttack::Run(const PgdOptions& options, int64_t batch) {
  Blob<float>& images = sampler_->images();
  const int count = images.count(), num = images.shape(0), size = count / num;
  clean_.assign(images.cpu_data(), images.cpu_data() + count);
  if (options.epsilon <= 0) return;
  const double radius = options.epsilon * scale_, step = 2.5 * radius / options.steps;

  caffe::PhiloxEngine engine(caffe::PhiloxKey(options.seed, static_cast<uint64_t>(batch)));
  std::uniform_real_distribution<double> uniform(-1, 1);
  // In the cube that lies in the ball.
  const double edge = options.infinity_norm ? radius : radius / std::sqrt(size);
  float* x = images.mutable_cpu_data();
  for (int i = 0; i < count; ++i) x[i] += static_cast<float>(edge * uniform(engine));
  Project(options);

  for (int s = 0; s < options.steps; ++s) {
    gradient_.assign(count, 0.0);
    for (int sample = 0; sample < options.samples; ++sample) {
      sampler_->Forward();
      const float* gradient = sampler_->ImageGradient();
      for (int i = 0; i < count; ++i) gradient_[i] += gradient[i];
    }
    x = images.mutable_cpu_data();
    for (int n = 0; n < num; ++n) {
      const double* g = &gradient_[static_cast<size_t>(n) * size];
      double norm = 0;
      for (int i = 0; i < size; ++i) norm += g[i] * g[i];
      norm = std::sqrt(norm);
      for (int i = 0; i < size && norm > 0; ++i) {
        const double direction = options.infinity_norm ? (g[i] > 0) - (g[i] < 0) : g[i] / norm;
        x[static_cast<size_t>(n) * size + i] += static_cast<float>(step * direction);
      }
    }
    Project(options);
  }
}

void PgdAttack::Project(const PgdOptions& options) {
  Blob<float>& images = sampler_->images();
  const int num = images.shape(0), channels = images.shape(1), size = images.count() / num;
  const double radius = options.epsilon * scale_;
  float* x = images.mutable_cpu_data();
  for (int n = 0; n < num; ++n, x += size) {
    const float* clean = &clean_[static_cast<size_t>(n) * size];
    double squares = 0;
    for (int i = 0; i < size; ++i) squares += std::pow(static_cast<double>(x[i]) - clean[i], 2);
    const double shrink = squares > radius * radius ? radius / std::sqrt(squares) : 1;
    for (int i = 0; i < size; ++i) {
      const double mean = means_[means_.size() == 1 ? 0 : i / (size / channels)];
      const double d = static_cast<double>(x[i]) - clean[i];
      const double moved =
          clean[i] + (options.infinity_norm ? std::max(-radius, std::min(radius, d)) : shrink * d);
      x[i] = static_cast<float>(std::max(-mean * scale_, std::min((255 - mean) * scale_, moved)));
    }
  }
}

}  // namespace metaperturb

#include "util/prediction_scores.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "util/error.hpp"

namespace caffe {

void PredictionScores::Add(const double* probabilities, int classes, int label) {
  ENFORCE(label >= 0 && label < classes)
      << "label " << label << " is outside the " << classes << " classes";
  const double total = std::accumulate(probabilities, probabilities + classes, 0.0);
  ENFORCE(std::isfinite(total)) << "the prediction of image " << count_ << " has " << total
                                << " in it: the network's weights or scores are not finite";
  const double* best = std::max_element(probabilities, probabilities + classes);
  const bool hit = best - probabilities == label;
  const int bins = static_cast<int>(sums_.size());
  Bin& bin = sums_[std::min(bins - 1, std::max(0, static_cast<int>(*best * bins)))];
  ++bin.count;
  bin.confidence += *best;
  bin.accuracy += hit;
  ++count_;
  hits_ += hit;
  log_sum_ += std::log(std::max(probabilities[label], 1e-38));
}

double PredictionScores::accuracy() const {
  return count_ ? static_cast<double>(hits_) / static_cast<double>(count_) : 0;
}

double PredictionScores::accuracy_error() const {
  return count_ ? std::sqrt(accuracy() * (1 - accuracy()) / static_cast<double>(count_)) : 0;
}

double PredictionScores::negative_log_likelihood() const {
  return count_ ? -log_sum_ / static_cast<double>(count_) : 0;
}

double PredictionScores::calibration_error() const {
  double sum = 0;
  for (const Bin& bin : sums_) sum += std::abs(bin.accuracy - bin.confidence);
  return count_ ? sum / static_cast<double>(count_) : 0;
}

std::vector<PredictionScores::Bin> PredictionScores::bins() const {
  std::vector<Bin> bins = sums_;
  for (Bin& bin : bins) {
    if (bin.count == 0) continue;
    bin.confidence /= static_cast<double>(bin.count);
    bin.accuracy /= static_cast<double>(bin.count);
  }
  return bins;
}

}  // namespace caffe

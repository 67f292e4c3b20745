#include "tools/metaperturb/noise_sampler.hpp"

#include <algorithm>
#include <cmath>

#include "util/error.hpp"

namespace metaperturb {

using caffe::Blob;
using std::string;
using std::vector;

NoiseSampler::NoiseSampler(const caffe::NetParameter& param) : net_(param) {
  const int layers = static_cast<int>(net_.layers().size());
  while (sources_ < layers && net_.bottom_ids(sources_).empty()) ++sources_;
  for (int i = 0; i < sources_; ++i) {
    for (Blob<float>* top : net_.top_vecs()[i]) {
      if (!labels_ && net_.top_vecs()[i].size() > 1 && top == net_.top_vecs()[i][0]) {
        images_ = top;
        labels_ = net_.top_vecs()[i][1];
        images_index_ = kept_.size();
      }
      kept_.emplace_back(new Blob<float>);
    }
  }
  ENFORCE(labels_) << "no data layer at the beginning has labels as its second top in phase TEST";
  for (int i = layers - 1; i >= 0 && !scores_; --i) {
    const string type = net_.layers()[i]->type();
    if (type == "SoftmaxWithLoss" || type == "SoftTargetLoss" || type == "Softmax") {
      scores_ = net_.bottom_vecs()[i][0];
    }
  }
  ENFORCE(scores_)
      << "the net has no Softmax, SoftmaxWithLoss or SoftTargetLoss layer in phase TEST";
}

vector<int> NoiseSampler::NextBatch() {
  net_.ForwardFromTo(0, sources_ - 1);
  size_t at = 0;
  for (int i = 0; i < sources_; ++i) {
    for (const Blob<float>* top : net_.top_vecs()[i]) kept_[at++]->CopyFrom(*top, false, true);
  }
  return vector<int>(labels_->cpu_data(), labels_->cpu_data() + labels_->count());
}

void NoiseSampler::Forward() {
  size_t at = 0;
  for (int i = 0; i < sources_; ++i) {
    for (Blob<float>* top : net_.top_vecs()[i]) top->CopyFrom(*kept_[at++]);
  }
  net_.ForwardFrom(sources_);
}

const float* NoiseSampler::ImageGradient() {
  net_.Backward();
  return images_->cpu_diff();
}

void NoiseSampler::Sample(int samples, vector<vector<double>>* probabilities) {
  probabilities->clear();
  while (static_cast<int>(probabilities->size()) < samples) {
    Forward();
    TakeSoftmax(probabilities);
  }
  probabilities->resize(samples);
}

// Scores of k times as many rows as labels are k samples: the net repeats its images itself.
void NoiseSampler::TakeSoftmax(vector<vector<double>>* probabilities) {
  const int rows = scores_->shape(0), images = labels_->count();
  classes_ = scores_->count() / rows;
  ENFORCE(rows % images == 0) << rows << " rows of scores for " << images << " labels";
  const float* score = scores_->cpu_data();
  for (int row = 0; row < rows; ++row, score += classes_) {
    if (row % images == 0) probabilities->emplace_back();
    const double most = *std::max_element(score, score + classes_);
    double sum = 0;
    for (int c = 0; c < classes_; ++c) sum += std::exp(score[c] - most);
    for (int c = 0; c < classes_; ++c) {
      probabilities->back().push_back(std::exp(score[c] - most) / sum);
    }
  }
}

}  // namespace metaperturb

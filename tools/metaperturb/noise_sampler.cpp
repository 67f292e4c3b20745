#include "tools/metaperturb/noise_sampler.hpp"

#include <algorithm>
#include <cmath>

#include "caffe/util/math_functions.hpp"
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
  // Of the gradients that force_backward asks for, only the images' is used.
  for (const auto& layer : net_.layers()) {
    for (size_t j = 0; j < layer->blobs().size(); ++j) {
      layer->set_param_propagate_down(static_cast<int>(j), false);
    }
  }
  ENFORCE(labels_) << "no data layer at the beginning has labels as its second top in phase TEST";
  FindScores();
  // What is followed is the cross entropy of the scores alone: not what else a net adds to its
  // loss.
  for (size_t i = 0; i < net_.layers().size(); ++i) {
    for (size_t j = 0; j < net_.top_vecs()[i].size(); ++j) {
      const int top = static_cast<int>(j);
      if (net_.layers()[i]->loss(top) == 0) continue;
      net_.layers()[i]->set_loss(top, 0);
      Blob<float>& blob = *net_.top_vecs()[i][j];
      caffe::caffe_set(blob.count(), 0.0f, blob.mutable_cpu_diff());
    }
  }
}

void NoiseSampler::FindScores() {
  const int layers = static_cast<int>(net_.layers().size());
  int reader = layers - 1;
  for (int i = layers - 1; i >= 0; --i) {
    const string type = net_.layers()[i]->type();
    const bool is_loss = type == "SoftmaxWithLoss" || type == "SoftTargetLoss";
    if (scores_ || (!is_loss && type != "Softmax")) continue;
    scores_ = net_.bottom_vecs()[i][0];
    ENFORCE(scores_ != net_.top_vecs()[i][0])
        << "layer '" << net_.layer_names()[i] << "' (" << type
        << ") works in place, which leaves no scores; give it another top";
    reader = i;
  }
  ENFORCE(scores_)
      << "the net has no Softmax, SoftmaxWithLoss or SoftTargetLoss layer in phase TEST";
  scores_layer_ = MakerOf(scores_, reader);
  if (string(net_.layers()[scores_layer_]->type()) == "Split") {
    scores_ = net_.bottom_vecs()[scores_layer_][0];
    scores_layer_ = MakerOf(scores_, scores_layer_);
  }
}

// The last layer before `reader` that has the blob as a top.
int NoiseSampler::MakerOf(const Blob<float>* blob, int reader) const {
  for (int i = reader - 1; i > 0; --i) {
    const auto& tops = net_.top_vecs()[i];
    if (std::find(tops.begin(), tops.end(), blob) != tops.end()) return i;
  }
  return 0;
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

namespace {

void Softmax(const float* score, int classes, double* probability) {
  const double most = *std::max_element(score, score + classes);
  double sum = 0;
  for (int c = 0; c < classes; ++c) sum += std::exp(score[c] - most);
  for (int c = 0; c < classes; ++c) probability[c] = std::exp(score[c] - most) / sum;
}

}  // namespace

const float* NoiseSampler::ImageGradient() {
  CrossEntropyGradient();
  net_.BackwardFrom(scores_layer_);
  return images_->cpu_diff();
}

void NoiseSampler::CrossEntropyGradient() {
  const int rows = scores_->shape(0), images = labels_->count();
  const int classes = scores_->count() / rows;
  const float *score = scores_->cpu_data(), *labels = labels_->cpu_data();
  float* diff = scores_->mutable_cpu_diff();
  vector<double> probability(classes);
  for (int row = 0; row < rows; ++row, score += classes, diff += classes) {
    Softmax(score, classes, probability.data());
    const int label = static_cast<int>(labels[row % images]);
    for (int c = 0; c < classes; ++c) {
      diff[c] = static_cast<float>((probability[c] - (c == label)) / rows);
    }
  }
}

void NoiseSampler::Sample(int samples, vector<vector<double>>* probabilities, bool if_noise) {
  probabilities->clear();
  while (static_cast<int>(probabilities->size()) < samples) {
    Forward();
    TakeSoftmax(probabilities);
    const bool several = if_noise && samples > 1 && probabilities->size() > 1;
    if (several && (*probabilities)[0] == (*probabilities)[1]) samples = 1;
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
    vector<double>& all = probabilities->back();
    all.resize(all.size() + classes_);
    Softmax(score, classes_, all.data() + all.size() - classes_);
  }
}

}  // namespace metaperturb

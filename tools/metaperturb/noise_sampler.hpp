#ifndef METAPERTURB_TOOLS_METAPERTURB_NOISE_SAMPLER_HPP_
#define METAPERTURB_TOOLS_METAPERTURB_NOISE_SAMPLER_HPP_

#include <memory>
#include <string>
#include <vector>

#include "caffe/net.hpp"

namespace metaperturb {

/// A network in TEST whose layers behind the data run again and again on one batch, each time with
/// new noise. `param` is the net filtered for TEST; its data layers come first, one with labels as
/// its second top, and it has a Softmax, SoftmaxWithLoss or SoftTargetLoss layer, of which the last
/// has the scores. Errors say what is missing.
class NoiseSampler {
 public:
  explicit NoiseSampler(const caffe::NetParameter& param);

  caffe::Net<float>& net() { return net_; }
  /// Of the last samples.
  int classes() const { return classes_; }

  /// Reads the next batch; returns its labels.
  std::vector<int> NextBatch();
  /// The batch's images, for a caller to change.
  caffe::Blob<float>& images() { return *kept_[images_index_]; }
  /// Runs the layers behind the data on images().
  void Forward();
  /// The gradient of the scores' mean cross entropy by the images, after Forward, up to a factor;
  /// it must have been asked for with force_backward. Other losses of the net do not count.
  const float* ImageGradient();
  /// Per sample the softmax of every image, classes() values each. With `if_noise` one sample alone
  /// where the first two are equal.
  void Sample(int samples, std::vector<std::vector<double>>* probabilities, bool if_noise = false);

 private:
  void FindScores();
  int MakerOf(const caffe::Blob<float>* blob, int reader) const;
  void CrossEntropyGradient();
  void TakeSoftmax(std::vector<std::vector<double>>* probabilities);

  caffe::Net<float> net_;
  int sources_ = 0;  // leading layers that read data
  caffe::Blob<float>* scores_ = nullptr;
  int scores_layer_ = 0;  // the layer that makes the scores
  caffe::Blob<float>* labels_ = nullptr;
  caffe::Blob<float>* images_ = nullptr;
  int classes_ = 0;
  // The batch as it was read: layers may work in place on it.
  std::vector<std::unique_ptr<caffe::Blob<float>>> kept_;
  size_t images_index_ = 0;
};

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_METAPERTURB_NOISE_SAMPLER_HPP_

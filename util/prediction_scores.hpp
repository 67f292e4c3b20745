#ifndef METAPERTURB_UTIL_PREDICTION_SCORES_HPP_
#define METAPERTURB_UTIL_PREDICTION_SCORES_HPP_

#include <cstdint>
#include <vector>

namespace caffe {

/// What predicted class probabilities p are worth, over n images with labels t.
class PredictionScores {
 public:
  /// A bin of confidences, that is of the largest probability of an image.
  struct Bin {
    int64_t count = 0;
    double confidence = 0, accuracy = 0;  // means over its images; 0 where there is none
  };

  /// `bins` of equal width between 0 and 1.
  explicit PredictionScores(int bins = 15) : sums_(bins) {}

  /// One image; of equal probabilities the first class is the prediction. A label outside 0 to
  /// classes - 1 is an Error.
  void Add(const double* probabilities, int classes, int label);

  int64_t count() const { return count_; }
  /// Share of the images whose most probable class is t.
  double accuracy() const;
  /// Its standard error sqrt(a (1 - a) / n).
  double accuracy_error() const;
  /// -mean log p[t]; a probability of 0 counts as 1e-38.
  double negative_log_likelihood() const;
  /// Expected calibration error (Guo et al., ICML 2017, equation 3): the mean over the images of
  /// |accuracy - confidence| of their bin.
  double calibration_error() const;
  std::vector<Bin> bins() const;

 private:
  std::vector<Bin> sums_;  // sums in place of means
  int64_t count_ = 0, hits_ = 0;
  double log_sum_ = 0;
};

}  // namespace caffe

#endif  // METAPERTURB_UTIL_PREDICTION_SCORES_HPP_

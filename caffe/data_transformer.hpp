#ifndef CAFFE_DATA_TRANSFORMER_HPP_
#define CAFFE_DATA_TRANSFORMER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/util/image_window.hpp"
#include "util/philox.hpp"

namespace caffe {

/// What a data layer does to an image before it enters the network:
///     out = (crop(mirror(pixel)) - mean) * scale
/// crop_size: a random window in TRAIN, the centre in TEST; mirror: left-right with probability 1/2
/// (in both phases, as in Caffe); mean_file or mean_value (one, or one per channel); scale = 1.
/// force_color and force_gray decide how encoded images are decoded; by default as they are.
/// Throws caffe::Error for an image that is damaged, or does not fit the crop, the mean or the
/// output.
template <typename Dtype>
class DataTransformer {
 public:
  explicit DataTransformer(const TransformationParameter& param, Phase phase);
  virtual ~DataTransformer() {}

  /// Seeds the random choices from the thread's stream.
  void InitRand();
  /// Beyond Caffe's API: makes the choices for the next image those of that record, whatever was
  /// transformed before.
  void SetRecord(uint64_t key, uint64_t record) { rng_ = PhiloxEngine(PhiloxKey(key, record)); }

  void Transform(const Datum& datum, Blob<Dtype>* transformed_blob);
  void Transform(const vector<Datum>& datum_vector, Blob<Dtype>* transformed_blob);
  void Transform(const cv::Mat& cv_img, Blob<Dtype>* transformed_blob);
  void Transform(const vector<cv::Mat>& mat_vector, Blob<Dtype>* transformed_blob);
  /// The same window for all images of the blob.
  void Transform(Blob<Dtype>* input_blob, Blob<Dtype>* transformed_blob);
  /// Writes one transformed image of `shape` (C, H, W after cropping) to `out`.
  void Transform(const Datum& datum, const vector<int>& shape, Dtype* out);

  /// 1 x C x H x W after cropping (or n x ... for a vector).
  vector<int> InferBlobShape(const Datum& datum);
  vector<int> InferBlobShape(const vector<Datum>& datum_vector);
  vector<int> InferBlobShape(const cv::Mat& cv_img);
  vector<int> InferBlobShape(const vector<cv::Mat>& mat_vector);

  // Beyond Caffe's API, for who computes the same elsewhere (resident_images.hpp):
  /// The image, decoded if it is encoded.
  Datum Decode(Datum datum) const;
  /// Which windows images of C x H x W get. Checks that crop and mean fit them.
  ImageWindows Windows(int channels, int height, int width) const;
  Dtype scale() const { return param_.scale(); }
  /// Of every pixel; empty if there is no mean_file.
  const Blob<Dtype>& mean() const { return data_mean_; }
  /// None, one for all channels or one for each.
  const vector<Dtype>& mean_values() const { return mean_values_; }

 protected:
  virtual int Rand(int n);

  TransformationParameter param_;
  PhiloxEngine rng_;
  Phase phase_;
  Blob<Dtype> data_mean_;
  vector<Dtype> mean_values_;

 private:
  /// Draws the window for an image, whose `shape` after cropping is checked.
  ImageWindow Choose(int channels, int height, int width, const vector<int>& shape);
  template <typename Pixel>
  void TransformPixels(const Pixel* pixels, int channels, int height, int width,
                       const vector<int>& shape, const ImageWindow& window, Dtype* out) const;
  vector<int> ShapeAfterCrop(int channels, int height, int width) const;
};

}  // namespace caffe

#endif  // CAFFE_DATA_TRANSFORMER_HPP_

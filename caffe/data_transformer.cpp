#include "caffe/data_transformer.hpp"

#include <opencv2/core.hpp>

#include "caffe/util/io.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {

template <typename Dtype>
DataTransformer<Dtype>::DataTransformer(const TransformationParameter& param, Phase phase)
    : param_(param), phase_(phase) {
  ENFORCE(!param_.has_mean_file() || param_.mean_value_size() == 0)
      << "transform_param: mean_file and mean_value are both given";
  if (param_.has_mean_file()) {
    BlobProto proto;
    ReadProtoFromBinaryFileOrDie(param_.mean_file(), &proto);
    data_mean_.FromProto(proto);
  }
  mean_values_.assign(param_.mean_value().begin(), param_.mean_value().end());
}

template <typename Dtype>
void DataTransformer<Dtype>::InitRand() {
  rng_ = PhiloxEngine(PhiloxKey((*caffe_rng())(), 1));
}

template <typename Dtype>
int DataTransformer<Dtype>::Rand(int n) {
  CHECK_GT(n, 0);
  return static_cast<int>(UniformBelow(static_cast<uint32_t>(n), &rng_));
}

template <typename Dtype>
vector<int> DataTransformer<Dtype>::ShapeAfterCrop(int channels, int height, int width) const {
  const int crop = static_cast<int>(param_.crop_size());
  ENFORCE(crop <= height && crop <= width)
      << "crop_size " << crop << " exceeds the image's " << height << "x" << width;
  return {1, channels, crop ? crop : height, crop ? crop : width};
}

template <typename Dtype>
vector<int> DataTransformer<Dtype>::InferBlobShape(const Datum& datum) {
  if (datum.encoded()) {
    return InferBlobShape(param_.force_color() || param_.force_gray()
                              ? DecodeDatumToCVMat(datum, param_.force_color())
                              : DecodeDatumToCVMatNative(datum));
  }
  return ShapeAfterCrop(datum.channels(), datum.height(), datum.width());
}

template <typename Dtype>
vector<int> DataTransformer<Dtype>::InferBlobShape(const cv::Mat& image) {
  return ShapeAfterCrop(image.channels(), image.rows, image.cols);
}

template <typename Dtype>
vector<int> DataTransformer<Dtype>::InferBlobShape(const vector<Datum>& datum_vector) {
  ENFORCE(!datum_vector.empty()) << "no image to infer a shape from";
  vector<int> shape = InferBlobShape(datum_vector[0]);
  shape[0] = static_cast<int>(datum_vector.size());
  return shape;
}

template <typename Dtype>
vector<int> DataTransformer<Dtype>::InferBlobShape(const vector<cv::Mat>& mat_vector) {
  ENFORCE(!mat_vector.empty()) << "no image to infer a shape from";
  vector<int> shape = InferBlobShape(mat_vector[0]);
  shape[0] = static_cast<int>(mat_vector.size());
  return shape;
}

template <typename Dtype>
template <typename Pixel>
void DataTransformer<Dtype>::TransformPixels(const Pixel* pixels, int channels, int height,
                                             int width, const vector<int>& shape, Dtype* out) {
  const vector<int> after = ShapeAfterCrop(channels, height, width);
  const int out_h = shape[shape.size() - 2], out_w = shape[shape.size() - 1];
  ENFORCE(after[1] == shape[shape.size() - 3] && after[2] == out_h && after[3] == out_w)
      << "an image of " << channels << "x" << height << "x" << width << " gives " << after[1] << "x"
      << after[2] << "x" << after[3] << " where " << shape[shape.size() - 3] << "x" << out_h << "x"
      << out_w << " is expected";
  const Dtype* mean = nullptr;
  if (param_.has_mean_file()) {
    ENFORCE(data_mean_.count() == channels * height * width)
        << param_.mean_file() << ": the mean has " << data_mean_.count()
        << " values, an image has " << channels << "x" << height << "x" << width;
    mean = data_mean_.cpu_data();
  }
  ENFORCE(mean_values_.size() <= 1 || static_cast<int>(mean_values_.size()) == channels)
      << mean_values_.size() << " mean_value entries for " << channels << " channels";

  const bool random = param_.crop_size() > 0 && phase_ == TRAIN;
  const int h0 = random ? Rand(height - out_h + 1) : (height - out_h) / 2;
  const int w0 = random ? Rand(width - out_w + 1) : (width - out_w) / 2;
  const bool mirror = param_.mirror() && Rand(2);
  const Dtype scale = param_.scale();
  for (int c = 0; c < channels; ++c) {
    const Dtype constant =
        mean_values_.empty() ? 0 : mean_values_[mean_values_.size() == 1 ? 0 : c];
    for (int h = 0; h < out_h; ++h) {
      const size_t from = (size_t(c) * height + h0 + h) * width + w0;
      const Pixel* row = pixels + from;
      Dtype* to = out + (size_t(c) * out_h + h) * out_w;
      if (mean) {
        for (int w = 0; w < out_w; ++w) to[w] = (Dtype(row[w]) - mean[from + w]) * scale;
      } else {
        for (int w = 0; w < out_w; ++w) to[w] = (Dtype(row[w]) - constant) * scale;
      }
      if (mirror) std::reverse(to, to + out_w);
    }
  }
}

template <typename Dtype>
void DataTransformer<Dtype>::Transform(const Datum& datum, const vector<int>& shape, Dtype* out) {
  if (datum.encoded()) {
    Datum decoded;
    CVMatToDatum(param_.force_color() || param_.force_gray()
                     ? DecodeDatumToCVMat(datum, param_.force_color())
                     : DecodeDatumToCVMatNative(datum),
                 &decoded);
    Transform(decoded, shape, out);
    return;
  }
  const size_t count = size_t(datum.channels()) * datum.height() * datum.width();
  ENFORCE(count > 0) << "the Datum is empty";
  if (datum.data().empty()) {
    ENFORCE(size_t(datum.float_data_size()) == count)
        << "the Datum holds " << datum.float_data_size() << " values for " << datum.channels()
        << "x" << datum.height() << "x" << datum.width();
    TransformPixels(datum.float_data().data(), datum.channels(), datum.height(), datum.width(),
                    shape, out);
  } else {
    ENFORCE(datum.data().size() == count)
        << "the Datum holds " << datum.data().size() << " bytes for " << datum.channels() << "x"
        << datum.height() << "x" << datum.width();
    TransformPixels(reinterpret_cast<const uint8_t*>(datum.data().data()), datum.channels(),
                    datum.height(), datum.width(), shape, out);
  }
}

template <typename Dtype>
void DataTransformer<Dtype>::Transform(const Datum& datum, Blob<Dtype>* transformed_blob) {
  Transform(datum, transformed_blob->shape(), transformed_blob->mutable_cpu_data());
}

template <typename Dtype>
void DataTransformer<Dtype>::Transform(const vector<Datum>& datum_vector,
                                       Blob<Dtype>* transformed_blob) {
  ENFORCE(static_cast<int>(datum_vector.size()) <= transformed_blob->shape(0))
      << datum_vector.size() << " images for a blob of " << transformed_blob->shape(0);
  Dtype* out = transformed_blob->mutable_cpu_data();
  for (const Datum& datum : datum_vector) {
    Transform(datum, transformed_blob->shape(), out);
    out += transformed_blob->count(1);
  }
}

template <typename Dtype>
void DataTransformer<Dtype>::Transform(const cv::Mat& image, Blob<Dtype>* transformed_blob) {
  Datum datum;
  CVMatToDatum(image, &datum);
  Transform(datum, transformed_blob);
}

template <typename Dtype>
void DataTransformer<Dtype>::Transform(const vector<cv::Mat>& mat_vector,
                                       Blob<Dtype>* transformed_blob) {
  vector<Datum> datums(mat_vector.size());
  for (size_t i = 0; i < mat_vector.size(); ++i) CVMatToDatum(mat_vector[i], &datums[i]);
  Transform(datums, transformed_blob);
}

template <typename Dtype>
void DataTransformer<Dtype>::Transform(Blob<Dtype>* input, Blob<Dtype>* transformed_blob) {
  vector<int> shape = ShapeAfterCrop(input->channels(), input->height(), input->width());
  shape[0] = input->num();
  if (transformed_blob->count() == 0) transformed_blob->Reshape(shape);
  Dtype* out = transformed_blob->mutable_cpu_data();
  for (int n = 0; n < input->num(); ++n) {
    TransformPixels(input->cpu_data() + input->offset(n), input->channels(), input->height(),
                    input->width(), transformed_blob->shape(), out + transformed_blob->offset(n));
  }
}

INSTANTIATE_CLASS(DataTransformer);

}  // namespace caffe

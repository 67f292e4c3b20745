#include "caffe/data_transformer.hpp"

#include <opencv2/core.hpp>

#include "caffe/util/io.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {

namespace {

// Whether the last three axes are these, and those before them 1.
template <typename Dtype>
bool IsImage(const Blob<Dtype>& blob, int channels, int height, int width) {
  return blob.num_axes() >= 3 && blob.count() == channels * height * width &&
         blob.shape(-3) == channels && blob.shape(-2) == height && blob.shape(-1) == width;
}

}  // namespace

template <typename Dtype>
DataTransformer<Dtype>::DataTransformer(const TransformationParameter& param, Phase phase)
    : param_(param), phase_(phase) {
  ENFORCE(!param_.has_mean_file() || param_.mean_value_size() == 0)
      << "transform_param: mean_file and mean_value are both given";
  ENFORCE(!param_.force_color() || !param_.force_gray())
      << "transform_param: force_color and force_gray are both given";
  if (param_.has_mean_file()) {
    BlobProto proto;
    ReadProtoFromBinaryFileOrDie(param_.mean_file(), &proto);
    try {
      data_mean_.FromProto(proto);
    } catch (const Error& e) {
      throw Error(param_.mean_file() + ": " + e.what());
    }
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
  ENFORCE(channels > 0 && height > 0 && width > 0)
      << "the image is empty: " << channels << "x" << height << "x" << width;
  const int crop = static_cast<int>(param_.crop_size());
  ENFORCE(crop <= height && crop <= width)
      << "crop_size " << crop << " exceeds the image's " << height << "x" << width;
  return {1, channels, crop ? crop : height, crop ? crop : width};
}

template <typename Dtype>
Datum DataTransformer<Dtype>::Decode(Datum datum) const {
  if (!datum.encoded()) return datum;
  Datum decoded;
  CVMatToDatum(param_.force_color() || param_.force_gray()
                   ? DecodeDatumToCVMat(datum, param_.force_color())
                   : DecodeDatumToCVMatNative(datum),
               &decoded);
  decoded.set_label(datum.label());
  return decoded;
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
ImageWindows DataTransformer<Dtype>::Windows(int channels, int height, int width) const {
  const vector<int> after = ShapeAfterCrop(channels, height, width);
  ENFORCE(!param_.has_mean_file() || IsImage(data_mean_, channels, height, width))
      << param_.mean_file() << ": the mean has shape " << data_mean_.shape_string() << ", an image "
      << channels << "x" << height << "x" << width;
  ENFORCE(mean_values_.size() <= 1 || static_cast<int>(mean_values_.size()) == channels)
      << mean_values_.size() << " mean_value entries for " << channels << " channels";
  return {height,         width, after[2], after[3], param_.crop_size() > 0 && phase_ == TRAIN,
          param_.mirror()};
}

template <typename Dtype>
ImageWindow DataTransformer<Dtype>::Choose(int channels, int height, int width,
                                           const vector<int>& shape) {
  const vector<int> after = ShapeAfterCrop(channels, height, width);
  const int out_c = shape[shape.size() - 3];
  const int out_h = shape[shape.size() - 2], out_w = shape[shape.size() - 1];
  ENFORCE(after[1] == out_c && after[2] == out_h && after[3] == out_w)
      << "an image of " << channels << "x" << height << "x" << width << " gives " << after[1] << "x"
      << after[2] << "x" << after[3] << " where " << out_c << "x" << out_h << "x" << out_w
      << " is expected";
  return Windows(channels, height, width).Choose([this](int n) { return Rand(n); });
}

template <typename Dtype>
template <typename Pixel>
void DataTransformer<Dtype>::TransformPixels(const Pixel* pixels, int channels, int height,
                                             int width, const vector<int>& shape,
                                             const ImageWindow& window, Dtype* out) const {
  const int out_h = shape[shape.size() - 2], out_w = shape[shape.size() - 1];
  const Dtype* mean = param_.has_mean_file() ? data_mean_.cpu_data() : nullptr;
  const Dtype scale = param_.scale();
  for (int c = 0; c < channels; ++c) {
    const Dtype constant =
        mean_values_.empty() ? 0 : mean_values_[mean_values_.size() == 1 ? 0 : c];
    for (int h = 0; h < out_h; ++h) {
      const size_t from = (size_t(c) * height + window.top + h) * width + window.left;
      const Pixel* row = pixels + from;
      Dtype* to = out + (size_t(c) * out_h + h) * out_w;
      if (mean) {
        for (int w = 0; w < out_w; ++w) to[w] = (Dtype(row[w]) - mean[from + w]) * scale;
      } else {
        for (int w = 0; w < out_w; ++w) to[w] = (Dtype(row[w]) - constant) * scale;
      }
      if (window.mirror) std::reverse(to, to + out_w);
    }
  }
}

template <typename Dtype>
void DataTransformer<Dtype>::Transform(const Datum& datum, const vector<int>& shape, Dtype* out) {
  if (datum.encoded()) {
    Transform(Decode(datum), shape, out);
    return;
  }
  const int channels = datum.channels(), height = datum.height(), width = datum.width();
  const ImageWindow window = Choose(channels, height, width, shape);
  const size_t count = size_t(channels) * height * width;
  const bool bytes = !datum.data().empty();
  ENFORCE(count == (bytes ? datum.data().size() : size_t(datum.float_data_size())))
      << "the Datum holds " << (bytes ? datum.data().size() : size_t(datum.float_data_size()))
      << (bytes ? " bytes for " : " values for ") << channels << "x" << height << "x" << width;
  if (bytes) {
    TransformPixels(reinterpret_cast<const uint8_t*>(datum.data().data()), channels, height, width,
                    shape, window, out);
  } else {
    TransformPixels(datum.float_data().data(), channels, height, width, shape, window, out);
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
  ENFORCE(transformed_blob->num() == input->num())
      << input->num() << " images for a blob of " << transformed_blob->num();
  const ImageWindow window =
      Choose(input->channels(), input->height(), input->width(), transformed_blob->shape());
  Dtype* out = transformed_blob->mutable_cpu_data();
  for (int n = 0; n < input->num(); ++n) {
    TransformPixels(input->cpu_data() + input->offset(n), input->channels(), input->height(),
                    input->width(), transformed_blob->shape(), window,
                    out + transformed_blob->offset(n));
  }
}

INSTANTIATE_CLASS(DataTransformer);

}  // namespace caffe

#include "caffe/layers/image_data_layer.hpp"

#include <algorithm>
#include <numeric>

#include "caffe/util/image_list.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {

template <typename Dtype>
Datum ImageDataLayer<Dtype>::ReadImage(int line) const {
  const ImageDataParameter& param = this->layer_param_.image_data_param();
  const string path = param.root_folder() + lines_[line].first;
  Datum datum;
  ENFORCE(ReadImageToDatum(path, lines_[line].second, static_cast<int>(param.new_height()),
                           static_cast<int>(param.new_width()), param.is_color(), &datum))
      << param.source() << ":" << line_numbers_[line] << ": image '" << path << "' "
      << WhyNoImage(path);
  return datum;
}

template <typename Dtype>
void ImageDataLayer<Dtype>::DataLayerSetUp(const vector<Blob<Dtype>*>&,
                                           const vector<Blob<Dtype>*>& top) {
  const ImageDataParameter& param = this->layer_param_.image_data_param();
  ENFORCE(param.batch_size() > 0) << "image_data_param.batch_size is 0";
  const uint32_t kMost = 16384;
  ENFORCE(std::max(param.new_height(), param.new_width()) <= kMost)
      << "new_height " << param.new_height() << " and new_width " << param.new_width()
      << ": must not exceed " << kMost;
  ENFORCE((param.new_height() > 0) == (param.new_width() > 0))
      << "new_height " << param.new_height() << " and new_width " << param.new_width()
      << ": give both or none";
  for (const ListedImage& image : ReadImageList(param.source())) {
    lines_.emplace_back(image.path, image.label);
    line_numbers_.push_back(image.line);
  }
  if (param.rand_skip() > 0) {
    skip_ = Philox::At(this->random_key(), 0, 0, 0, 0xFFFFFFFFu).v[0] % param.rand_skip();
  }
  // Several solvers shuffle differently, or else share the list.
  if (this->phase_ == TRAIN && !param.shuffle()) {
    stride_ = Caffe::solver_count();
    skip_ = skip_ / stride_ * stride_ + Caffe::solver_rank();
  }
  Locate(LineOf(0), [&](const Datum& first) {
    top[0]->Reshape(this->BatchShape(first, static_cast<int>(param.batch_size())));
  });
  top[1]->Reshape({top[0]->shape(0)});
}

template <typename Dtype>
template <typename Function>
void ImageDataLayer<Dtype>::Locate(int line, Function function) {
  const Datum image = ReadImage(line);
  try {
    function(image);
  } catch (const Error& e) {
    THROW_ERROR << this->layer_param_.image_data_param().source() << ":" << line_numbers_[line]
                << ": image '" << lines_[line].first << "': " << e.what();
  }
}

template <typename Dtype>
int ImageDataLayer<Dtype>::LineOf(uint64_t record) {
  record = record * stride_ + skip_;
  const uint64_t epoch = record / lines_.size();
  const int index = static_cast<int>(record % lines_.size());
  if (!this->layer_param_.image_data_param().shuffle()) return index;
  if (epoch != order_epoch_) {
    order_.resize(lines_.size());
    std::iota(order_.begin(), order_.end(), 0);
    PhiloxEngine engine(PhiloxKey(this->random_key(), ~epoch));
    shuffle(order_.begin(), order_.end(), &engine);
    order_epoch_ = epoch;
  }
  return order_[index];
}

template <typename Dtype>
void ImageDataLayer<Dtype>::load_batch(Batch<Dtype>* batch) {
  const int batch_size = static_cast<int>(this->layer_param_.image_data_param().batch_size());
  for (int i = 0; i < batch_size; ++i) {
    const uint64_t record = batch->pass * batch_size + i;
    Locate(LineOf(record),
           [&](const Datum& image) { this->PlaceImage(image, record, i, batch_size, batch); });
  }
}

INSTANTIATE_CLASS(ImageDataLayer);
REGISTER_LAYER_CLASS(ImageData);

}  // namespace caffe

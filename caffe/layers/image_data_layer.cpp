#include "caffe/layers/image_data_layer.hpp"

#include <cstdlib>
#include <numeric>

#include "caffe/util/io.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {

template <typename Dtype>
void ImageDataLayer<Dtype>::ReadList() {
  const string& source = this->layer_param_.image_data_param().source();
  std::ifstream file(source);
  ENFORCE(file.good()) << source << ": cannot be opened";
  string line;
  for (int number = 1; std::getline(file, line); ++number) {
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
    if (line.empty()) continue;
    // The label follows the last space, so paths may hold spaces.
    const size_t space = line.find_last_of(" \t");
    char* end = nullptr;
    const long label = space == string::npos ? 0 : std::strtol(line.c_str() + space + 1, &end, 10);
    ENFORCE(end && *end == '\0') << source << ":" << number << ": 'path label' is expected, not '"
                                 << line << "'";
    lines_.emplace_back(line.substr(0, space), static_cast<int>(label));
    line_numbers_.push_back(number);
  }
  ENFORCE(!lines_.empty()) << source << ": lists no image";
}

template <typename Dtype>
Datum ImageDataLayer<Dtype>::ReadImage(int line) const {
  const ImageDataParameter& param = this->layer_param_.image_data_param();
  const string path = param.root_folder() + lines_[line].first;
  Datum datum;
  ENFORCE(ReadImageToDatum(path, lines_[line].second, static_cast<int>(param.new_height()),
                           static_cast<int>(param.new_width()), param.is_color(), &datum))
      << param.source() << ":" << line_numbers_[line] << ": image '" << path
      << "' cannot be read or decoded";
  return datum;
}

template <typename Dtype>
void ImageDataLayer<Dtype>::DataLayerSetUp(const vector<Blob<Dtype>*>&,
                                           const vector<Blob<Dtype>*>& top) {
  const ImageDataParameter& param = this->layer_param_.image_data_param();
  ENFORCE(param.batch_size() > 0) << "image_data_param.batch_size is 0";
  ENFORCE((param.new_height() > 0) == (param.new_width() > 0))
      << "new_height " << param.new_height() << " and new_width " << param.new_width()
      << ": give both or none";
  ReadList();
  if (param.rand_skip() > 0) {
    skip_ = Philox::At(this->random_key(), 0, 0, 0, 0xFFFFFFFFu).v[0] % param.rand_skip();
  }
  const int line = LineOf(0);
  try {
    shape_ = this->data_transformer_->InferBlobShape(ReadImage(line));
  } catch (const Error& e) {
    const string message = e.what();
    if (message.find(param.source()) == 0) throw;
    THROW_ERROR << param.source() << ":" << line_numbers_[line] << ": " << message;
  }
  shape_[0] = static_cast<int>(param.batch_size());
  top[0]->Reshape(shape_);
  top[1]->Reshape({shape_[0]});
}

template <typename Dtype>
int ImageDataLayer<Dtype>::LineOf(uint64_t record) {
  record += skip_;
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
  const int batch_size = shape_[0];
  batch->data_.Reshape(shape_);
  batch->label_.Reshape({batch_size});
  Dtype* data = batch->data_.overwrite_cpu_data(1);
  Dtype* label = batch->label_.overwrite_cpu_data(1);
  const int size = batch->data_.count(1);
  for (int i = 0; i < batch_size; ++i) {
    const uint64_t record = batch->pass * batch_size + i;
    const int line = LineOf(record);
    const Datum datum = ReadImage(line);
    this->data_transformer_->SetRecord(this->random_key(), record);
    try {
      this->data_transformer_->Transform(datum, shape_, data + size_t(i) * size);
    } catch (const Error& e) {
      THROW_ERROR << this->layer_param_.image_data_param().source() << ":" << line_numbers_[line]
                  << ": image '" << lines_[line].first << "': " << e.what();
    }
    label[i] = datum.label();
  }
}

INSTANTIATE_CLASS(ImageDataLayer);
REGISTER_LAYER_CLASS(ImageData);

}  // namespace caffe

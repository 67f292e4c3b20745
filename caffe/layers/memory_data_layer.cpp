#include "caffe/layers/memory_data_layer.hpp"

#include <opencv2/core.hpp>

namespace caffe {

template <typename Dtype>
void MemoryDataLayer<Dtype>::DataLayerSetUp(const vector<Blob<Dtype>*>&,
                                            const vector<Blob<Dtype>*>& top) {
  const MemoryDataParameter& param = this->layer_param_.memory_data_param();
  batch_size_ = static_cast<int>(param.batch_size());
  channels_ = static_cast<int>(param.channels());
  height_ = static_cast<int>(param.height());
  width_ = static_cast<int>(param.width());
  ENFORCE(batch_size_ > 0 && channels_ > 0 && height_ > 0 && width_ > 0)
      << "memory_data_param needs batch_size, channels, height and width; they are " << batch_size_
      << ", " << channels_ << ", " << height_ << ", " << width_;
  top[0]->Reshape(batch_size_, channels_, height_, width_);  // refuses too large a product
  size_ = channels_ * height_ * width_;
  top[1]->Reshape({batch_size_});
}

template <typename Dtype>
void MemoryDataLayer<Dtype>::AddDatumVector(const vector<Datum>& datum_vector) {
  added_data_.Reshape(static_cast<int>(datum_vector.size()), channels_, height_, width_);
  this->data_transformer_->SetRecord(this->random_key(), added_++);
  this->data_transformer_->Transform(datum_vector, &added_data_);
  vector<int> labels;
  for (const Datum& datum : datum_vector) labels.push_back(datum.label());
  Take(labels);
}

template <typename Dtype>
void MemoryDataLayer<Dtype>::AddMatVector(const vector<cv::Mat>& mat_vector,
                                          const vector<int>& labels) {
  ENFORCE(mat_vector.size() == labels.size())
      << mat_vector.size() << " images with " << labels.size() << " labels";
  added_data_.Reshape(static_cast<int>(mat_vector.size()), channels_, height_, width_);
  this->data_transformer_->SetRecord(this->random_key(), added_++);
  this->data_transformer_->Transform(mat_vector, &added_data_);
  Take(labels);
}

template <typename Dtype>
void MemoryDataLayer<Dtype>::Take(const vector<int>& labels) {
  added_label_.Reshape({static_cast<int>(labels.size())});
  std::copy(labels.begin(), labels.end(), added_label_.mutable_cpu_data());
  Reset(added_data_.mutable_cpu_data(), added_label_.mutable_cpu_data(),
        static_cast<int>(labels.size()));
}

template <typename Dtype>
void MemoryDataLayer<Dtype>::Reset(Dtype* data, Dtype* labels, int n) {
  CHECK(data);
  CHECK(labels);
  ENFORCE(n > 0 && n % batch_size_ == 0)
      << n << " images are no multiple of batch_size " << batch_size_;
  data_ = data;
  labels_ = labels;
  n_ = n;
  first_pass_ = this->next_pass();
}

template <typename Dtype>
int MemoryDataLayer<Dtype>::FirstImage(uint64_t pass) const {
  const uint64_t passes = pass - (pass < first_pass_ ? 0 : first_pass_);
  return static_cast<int>(passes * batch_size_ % n_);
}

template <typename Dtype>
void MemoryDataLayer<Dtype>::set_batch_size(int new_size) {
  ENFORCE(new_size > 0) << "batch_size " << new_size;
  if (new_size == batch_size_) return;
  // The images that are there stay in use where they divide into the new batches from the first on.
  if (data_ && (FirstImage(this->next_pass()) != 0 || n_ % new_size != 0)) {
    ENFORCE(FirstImage(this->next_pass()) == 0 && this->next_pass() != first_pass_)
        << "batch_size cannot become " << new_size << ": of " << n_ << " images "
        << n_ - FirstImage(this->next_pass()) << " are not used yet";
    data_ = labels_ = nullptr;
  }
  batch_size_ = new_size;
  first_pass_ = this->next_pass();
}

template <typename Dtype>
void MemoryDataLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>&,
                                         const vector<Blob<Dtype>*>& top) {
  ENFORCE(data_) << "has no data: call Reset, AddDatumVector or AddMatVector first";
  const int first = FirstImage(this->pass());
  top[0]->Reshape(batch_size_, channels_, height_, width_);
  top[1]->Reshape({batch_size_});
  top[0]->set_cpu_data(data_ + size_t(first) * size_);
  top[1]->set_cpu_data(labels_ + first);
}

INSTANTIATE_CLASS(MemoryDataLayer);
REGISTER_LAYER_CLASS(MemoryData);

}  // namespace caffe

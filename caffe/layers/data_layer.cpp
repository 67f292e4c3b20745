#include "caffe/layers/data_layer.hpp"

namespace caffe {

template <typename Dtype>
void DataLayer<Dtype>::DataLayerSetUp(const vector<Blob<Dtype>*>&,
                                      const vector<Blob<Dtype>*>& top) {
  const DataParameter& param = this->layer_param_.data_param();
  ENFORCE(!param.source().empty()) << "data_param.source is not given";
  ENFORCE(param.batch_size() > 0) << "data_param.batch_size is not given or 0";
  db_.reset(db::GetDB(param.backend()));
  db_->Open(param.source(), db::READ);
  ENFORCE(db_->size() > 0) << param.source() << ": the database is empty";
  cursor_.reset(db_->NewCursor());
  if (param.rand_skip() > 0) {
    skip_ = Philox::At(this->random_key(), 0, 0, 0, 0xFFFFFFFFu).v[0] % param.rand_skip();
  }
  const Datum first = Read();
  try {
    shape_ = this->data_transformer_->InferBlobShape(first);
  } catch (const Error& e) {
    THROW_ERROR << param.source() << ": record '" << cursor_->key() << "': " << e.what();
  }
  shape_[0] = static_cast<int>(param.batch_size());
  top[0]->Reshape(shape_);
  if (this->output_labels_) top[1]->Reshape({shape_[0]});
}

template <typename Dtype>
Datum DataLayer<Dtype>::Read() {
  Datum datum;
  ENFORCE(datum.ParseFromString(cursor_->value()))
      << this->layer_param_.data_param().source() << ": record '" << cursor_->key()
      << "' is no Datum";
  return datum;
}

template <typename Dtype>
void DataLayer<Dtype>::Advance() {
  cursor_->Next();
  ++position_;
  if (!cursor_->valid()) {
    cursor_->SeekToFirst();
    position_ = 0;
  }
}

template <typename Dtype>
void DataLayer<Dtype>::SeekTo(uint64_t record) {
  if (position_ == record) return;
  if (position_ > record) {
    cursor_->SeekToFirst();
    position_ = 0;
  }
  while (position_ < record) Advance();
}

template <typename Dtype>
void DataLayer<Dtype>::load_batch(Batch<Dtype>* batch) {
  const int batch_size = shape_[0];
  batch->data_.Reshape(shape_);
  batch->label_.Reshape({batch_size});
  Dtype* data = batch->data_.overwrite_cpu_data(1);
  Dtype* label = batch->label_.overwrite_cpu_data(1);
  const uint64_t first = batch->pass * batch_size;
  SeekTo((first + skip_) % db_->size());
  const int size = batch->data_.count(1);
  for (int i = 0; i < batch_size; ++i) {
    const Datum datum = Read();
    this->data_transformer_->SetRecord(this->random_key(), first + i);
    try {
      this->data_transformer_->Transform(datum, shape_, data + size_t(i) * size);
    } catch (const Error& e) {
      THROW_ERROR << this->layer_param_.data_param().source() << ": record '" << cursor_->key()
                  << "': " << e.what();
    }
    label[i] = datum.label();
    Advance();
  }
}

INSTANTIATE_CLASS(DataLayer);
REGISTER_LAYER_CLASS(Data);

}  // namespace caffe

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
  stride_ = Caffe::solver_count();
  skip_ += Caffe::solver_rank();
  Locate(skip_, [&] { top[0]->Reshape(BatchShape(Read())); });
  if (this->output_labels_) top[1]->Reshape({top[0]->shape(0)});
}

template <typename Dtype>
template <typename Function>
void DataLayer<Dtype>::Locate(uint64_t record, Function function) {
  SeekTo(record % db_->size());
  try {
    function();
  } catch (const Error& e) {
    THROW_ERROR << this->layer_param_.data_param().source() << ": record '" << cursor_->key()
                << "': " << e.what();
  }
}

template <typename Dtype>
vector<int> DataLayer<Dtype>::BatchShape(const Datum& first) {
  vector<int> shape = this->data_transformer_->InferBlobShape(first);
  shape[0] = static_cast<int>(this->layer_param_.data_param().batch_size());
  return shape;
}

template <typename Dtype>
Datum DataLayer<Dtype>::Read() {
  Datum datum;
  ENFORCE(datum.ParseFromString(cursor_->value())) << "is no Datum";
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
  const int batch_size = static_cast<int>(this->layer_param_.data_param().batch_size());
  Dtype* data = nullptr;
  Dtype* label = nullptr;
  vector<int> shape;
  for (int i = 0; i < batch_size; ++i) {
    const uint64_t record = batch->pass * batch_size + i;
    Locate(skip_ + record * stride_, [&] {
      const Datum datum = Read();
      if (i == 0) {
        shape = BatchShape(datum);
        batch->data_.Reshape(shape);
        batch->label_.Reshape({batch_size});
        data = batch->data_.overwrite_cpu_data(1);
        label = batch->label_.overwrite_cpu_data(1);
      }
      this->data_transformer_->SetRecord(this->random_key(), record);
      const size_t size = batch->data_.count(1);
      this->data_transformer_->Transform(datum, shape, data + i * size);
      label[i] = datum.label();
    });
  }
}

INSTANTIATE_CLASS(DataLayer);
REGISTER_LAYER_CLASS(Data);

}  // namespace caffe

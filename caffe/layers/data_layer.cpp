#include "caffe/layers/data_layer.hpp"

#include <limits>

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
  if (this->phase_ == TRAIN) {  // one solver tests
    stride_ = Caffe::solver_count();
    // Each solver draws its own skip; no two may read the same records.
    skip_ = skip_ / stride_ * stride_ + Caffe::solver_rank();
  }
  Locate(skip_, [&] {
    const Datum first = Read();
    const TransformationParameter& transform = this->transform_param_;
    LOG_IF(WARNING, !first.encoded() && (transform.force_color() || transform.force_gray()))
        << "Layer '" << this->layer_param_.name()
        << "': force_color and force_gray are for encoded "
        << "images; " << param.source() << " holds pixels";
    top[0]->Reshape(this->BatchShape(first, static_cast<int>(param.batch_size())));
  });
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
  for (int i = 0; i < batch_size; ++i) {
    const uint64_t record = batch->pass * batch_size + i;
    Locate(skip_ + record * stride_,
           [&] { this->PlaceImage(Read(), record, i, batch_size, batch); });
  }
}

template <typename Dtype>
std::unique_ptr<ResidentImages<Dtype>> DataLayer<Dtype>::MakeResident() {
  this->StopInternalThread();  // it reads with the same cursor
  std::unique_ptr<ResidentImages<Dtype>> images;
  const string why_not = FillResident(&images);
  const string layer = "layer '" + this->layer_param_.name() + "': ";
  if (!why_not.empty()) {
    LOG_IF(INFO, Caffe::root_solver())
        << layer << "the images are not kept in the GPU's memory: " << why_not;
    return nullptr;
  }
  LOG_IF(INFO, Caffe::root_solver())
      << layer << db_->size() << " images (" << (images->bytes() + 1023) / 1024
      << " KiB) are kept in the GPU's memory";
  return images;
}

template <typename Dtype>
string DataLayer<Dtype>::FillResident(std::unique_ptr<ResidentImages<Dtype>>* images) {
  const uint64_t count = db_->size();
  const size_t chunk_bytes = 16 << 20;
  vector<Datum> chunk;
  for (uint64_t record = 0; record < count; ++record) {
    try {
      SeekTo(record);
      chunk.push_back(this->data_transformer_->Decode(Read()));
    } catch (const Error& e) {  // thrown again when the record's turn comes
      return "record " + std::to_string(record) + ": " + e.what();
    }
    const Datum& image = chunk.back();
    if (!*images) {
      if (image.data().empty()) return "the pixels are float";
      const uint64_t bytes = count * image.data().size();
      const bool is_counted = count <= std::numeric_limits<int>::max();
      if (!is_counted || !ResidentImages<Dtype>::Fits(bytes, Device::Get().MemoryLeft())) {
        return "they take " + std::to_string(bytes >> 10) +
               " KiB: more than 2 GiB, or less than half of it would stay free";
      }
      try {
        images->reset(new ResidentImages<Dtype>(this->data_transformer_.get(),
                                                {image.channels(), image.height(), image.width()},
                                                static_cast<int>(count)));
      } catch (const Error& e) {
        return e.what();
      }
    }
    const bool is_full = chunk.size() * image.data().size() >= chunk_bytes;
    if (!is_full && record + 1 < count) continue;
    if (!(*images)->Add(chunk)) return "they differ in size or type, or one is damaged";
    chunk.clear();
  }
  return "";
}

template <typename Dtype>
void DataLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  if (!tried_resident_) resident_ = MakeResident();
  tried_resident_ = true;
  if (!resident_) return BasePrefetchingDataLayer<Dtype>::Forward_gpu(bottom, top);
  const int batch_size = static_cast<int>(this->layer_param_.data_param().batch_size());
  resident_->Transform({this->random_key(), this->pass() * batch_size, skip_, stride_}, batch_size,
                       top[0]->overwrite_gpu_data(),
                       this->output_labels_ ? top[1]->overwrite_gpu_data() : nullptr);
}

INSTANTIATE_CLASS(DataLayer);
REGISTER_LAYER_CLASS(Data);

}  // namespace caffe

#include "caffe/layers/base_data_layer.hpp"

#include <chrono>

#include "caffe/util/device.hpp"
#include "util/threads.hpp"

namespace caffe {

namespace {

// Fields of Caffe's first format: where they stand in `layers` the upgrade moves them, in `layer`
// nobody reads them.
template <class Parameter>
void WarnOfOldFields(const std::string& layer, const char* name, const Parameter& param) {
  LOG_IF(WARNING,
         param.has_scale() || param.has_mean_file() || param.has_crop_size() || param.has_mirror())
      << "Layer '" << layer << "': scale, mean_file, crop_size and mirror are not read in " << name
      << ", only in transform_param";
}

}  // namespace

template <typename Dtype>
void BaseDataLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  output_labels_ = top.size() > 1;
  const LayerParameter& param = this->layer_param_;
  WarnOfOldFields(param.name(), "data_param", param.data_param());
  WarnOfOldFields(param.name(), "image_data_param", param.image_data_param());
  data_transformer_.reset(new DataTransformer<Dtype>(transform_param_, this->phase_));
  DataLayerSetUp(bottom, top);
}

template <typename Dtype>
BasePrefetchingDataLayer<Dtype>::BasePrefetchingDataLayer(const LayerParameter& param)
    : BaseDataLayer<Dtype>(param) {
  // One batch is in use while the next is loaded.
  const unsigned int count = std::max(2u, param.data_param().prefetch()), kMost = 10000;
  ENFORCE(count <= kMost) << "data_param.prefetch is " << count << "; at most " << kMost;
  for (unsigned int i = 0; i < count; ++i) prefetch_.emplace_back(new Batch<Dtype>());
}

template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::StartAt(uint64_t pass) {
  StopInternalThread();
  prefetch_free_.reset();
  prefetch_full_.reset();
  prefetch_current_ = nullptr;
  for (const auto& batch : prefetch_) prefetch_free_.push(batch.get());
  first_pass_ = expected_pass_ = pass;
  StartInternalThread();
}

template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::InternalThreadEntry() {
  Batch<Dtype>* batch;
  for (uint64_t pass = first_pass_; !must_stop() && prefetch_free_.pop(&batch); ++pass) {
    batch->pass = pass;
    batch->error = nullptr;
    try {
      this->CheckStart();
      load_batch(batch);
      if (Caffe::mode() == Caffe::GPU) Send(batch);
    } catch (...) {
      batch->error = std::current_exception();
    }
    // Once pushed the batch is no longer this thread's.
    const bool failed = batch->error != nullptr;
    prefetch_full_.push(batch);
    if (failed) return;
  }
}

// While the GPU computes with the batch before.
template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::Send(Batch<Dtype>* batch) const {
  const OwnStream stream(Device::INDEPENDENT);
  batch->data_.gpu_data();
  if (this->output_labels_) batch->label_.gpu_data();
}

template <typename Dtype>
vector<int> BasePrefetchingDataLayer<Dtype>::BatchShape(const Datum& first, int batch_size) {
  vector<int> shape = this->data_transformer_->InferBlobShape(first);
  shape[0] = batch_size;
  return shape;
}

template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::PlaceImage(const Datum& image, uint64_t record, int i,
                                                 int batch_size, Batch<Dtype>* batch) {
  if (i == 0) {
    batch->data_.Reshape(BatchShape(image, batch_size));
    batch->label_.Reshape({batch_size});
    batch->data_.overwrite_cpu_data(1);
    batch->label_.overwrite_cpu_data(1);
  }
  this->data_transformer_->SetRecord(this->random_key(), record);
  Dtype* place = batch->data_.mutable_cpu_data() + i * static_cast<size_t>(batch->data_.count(1));
  this->data_transformer_->Transform(image, batch->data_.shape(), place);
  batch->label_.mutable_cpu_data()[i] = image.label();
}

template <typename Dtype>
Batch<Dtype>* BasePrefetchingDataLayer<Dtype>::NextBatch() {
  // The GPU may still compute with the batch that is given back, here or by StartAt.
  if (prefetch_current_ && Caffe::mode() == Caffe::GPU) Device::Get().Synchronize();
  if (!is_started() || expected_pass_ != this->pass()) StartAt(this->pass());
  if (prefetch_current_) prefetch_free_.push(prefetch_current_);
  prefetch_current_ = nullptr;
  const auto start = std::chrono::steady_clock::now();
  Batch<Dtype>* batch = prefetch_full_.pop();
  wait_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (batch->error) {
    const std::exception_ptr error = batch->error;
    StopInternalThread();
    std::rethrow_exception(error);
  }
  prefetch_current_ = batch;
  ++expected_pass_;
  return batch;
}

// The tops use the batch's memory until the next pass gives it back.
template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>&,
                                                  const vector<Blob<Dtype>*>& top) {
  Batch<Dtype>* batch = NextBatch();
  top[0]->ReshapeLike(batch->data_);
  top[0]->set_cpu_data(batch->data_.mutable_cpu_data());
  if (this->output_labels_) {
    top[1]->ReshapeLike(batch->label_);
    top[1]->set_cpu_data(batch->label_.mutable_cpu_data());
  }
}

template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>&,
                                                  const vector<Blob<Dtype>*>& top) {
  Batch<Dtype>* batch = NextBatch();
  const auto lend = [](Blob<Dtype>* from, Blob<Dtype>* to) {
    to->ReshapeLike(*from);
    // What a top read on the host would be copied to: in a pass on the CPU it was another batch's.
    to->set_cpu_data(const_cast<Dtype*>(from->cpu_data()));
    to->set_gpu_data(from->mutable_gpu_data());
  };
  lend(&batch->data_, top[0]);
  if (this->output_labels_) lend(&batch->label_, top[1]);
}

INSTANTIATE_CLASS(BaseDataLayer);
INSTANTIATE_CLASS(BasePrefetchingDataLayer);

}  // namespace caffe

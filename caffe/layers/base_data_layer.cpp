#include "caffe/layers/base_data_layer.hpp"

#include <chrono>

#include "caffe/util/threads.hpp"

namespace caffe {

template <typename Dtype>
void BaseDataLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  output_labels_ = top.size() > 1;
  data_transformer_.reset(new DataTransformer<Dtype>(transform_param_, this->phase_));
  DataLayerSetUp(bottom, top);
}

template <typename Dtype>
BasePrefetchingDataLayer<Dtype>::BasePrefetchingDataLayer(const LayerParameter& param)
    : BaseDataLayer<Dtype>(param) {
  const unsigned int count = std::max(2u, param.data_param().prefetch());
  for (unsigned int i = 0; i < count; ++i) batches_.emplace_back(new Batch<Dtype>());
}

template <typename Dtype>
BasePrefetchingDataLayer<Dtype>::~BasePrefetchingDataLayer() {
  StopPrefetching();
}

template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::StopPrefetching() {
  free_.close();
  if (thread_.joinable()) thread_.join();
}

template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::StartPrefetching(uint64_t pass) {
  StopPrefetching();
  free_.reset();
  full_.reset();
  current_ = nullptr;
  for (const auto& batch : batches_) free_.push(batch.get());
  expected_pass_ = pass;
  thread_ = std::thread([this, pass] { Run(pass); });
}

template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::Run(uint64_t pass) {
  UnbindThread();  // not on the computing thread's processor
  Batch<Dtype>* batch;
  for (; free_.pop(&batch); ++pass) {
    batch->pass = pass;
    batch->error = nullptr;
    try {
      load_batch(batch);
    } catch (...) {
      batch->error = std::current_exception();
    }
    full_.push(batch);
    if (batch->error) return;
  }
}

template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>&,
                                                  const vector<Blob<Dtype>*>& top) {
  if (!thread_.joinable() || expected_pass_ != this->pass()) StartPrefetching(this->pass());
  if (current_) free_.push(current_);
  current_ = nullptr;
  const auto start = std::chrono::steady_clock::now();
  Batch<Dtype>* batch;
  const bool popped = full_.pop(&batch);
  CHECK(popped);
  wait_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (batch->error) {
    StopPrefetching();
    thread_ = std::thread();
    std::rethrow_exception(batch->error);
  }
  // The tops use the batch's memory until the next pass gives it back.
  current_ = batch;
  ++expected_pass_;
  top[0]->ReshapeLike(batch->data_);
  top[0]->set_cpu_data(batch->data_.mutable_cpu_data());
  if (this->output_labels_) {
    top[1]->ReshapeLike(batch->label_);
    top[1]->set_cpu_data(batch->label_.mutable_cpu_data());
  }
}

INSTANTIATE_CLASS(BaseDataLayer);
INSTANTIATE_CLASS(BasePrefetchingDataLayer);

}  // namespace caffe

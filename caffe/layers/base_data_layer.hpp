#ifndef CAFFE_BASE_DATA_LAYER_HPP_
#define CAFFE_BASE_DATA_LAYER_HPP_

#include <exception>
#include <memory>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/data_transformer.hpp"
#include "caffe/internal_thread.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/util/blocking_queue.hpp"

namespace caffe {

/// What all layers that bring data into a net share: no bottoms, top 0 the images, top 1 (if there)
/// the labels, transform_param, and no gradient.
template <typename Dtype>
class BaseDataLayer : public Layer<Dtype> {
 public:
  explicit BaseDataLayer(const LayerParameter& param)
      : Layer<Dtype>(param), transform_param_(param.transform_param()) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  virtual void DataLayerSetUp(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) {}
  void Reshape(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) override {}
  int ExactNumBottomBlobs() const override { return 0; }

 protected:
  void Backward_cpu(const vector<Blob<Dtype>*>&, const vector<bool>&,
                    const vector<Blob<Dtype>*>&) override {}

  TransformationParameter transform_param_;
  shared_ptr<DataTransformer<Dtype>> data_transformer_;
  bool output_labels_ = false;
};

template <typename Dtype>
class Batch {
 public:
  Blob<Dtype> data_, label_;
  uint64_t pass = 0;         // the forward pass that it is for
  std::exception_ptr error;  // what went wrong while it was loaded
};

/// Loads data_param.prefetch batches ahead (4; 2 to 10000), in a thread of its own. Batch p is that
/// of forward pass p and depends on nothing else, so that a net that is set to another pass
/// (Net::set_next_pass) gets its data from there. In GPU mode the thread sends the batch to the
/// device, too. What goes wrong in the thread is thrown by Forward. A derived class's destructor
/// calls StopInternalThread, for the thread calls load_batch.
template <typename Dtype>
class BasePrefetchingDataLayer : public BaseDataLayer<Dtype>, public InternalThread {
 public:
  explicit BasePrefetchingDataLayer(const LayerParameter& param);
  ~BasePrefetchingDataLayer() override { StopInternalThread(); }
  /// Seconds that Forward has waited for data.
  double wait_seconds() const { return wait_seconds_; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  /// Fills the batch for batch->pass. Called in the thread.
  virtual void load_batch(Batch<Dtype>* batch) = 0;
  /// batch_size x C x H x W for a batch that begins with this image.
  vector<int> BatchShape(const Datum& first, int batch_size);
  /// Puts image and label at place i of a batch, transformed with the random numbers of `record`.
  /// The image at place 0 gives the batch its shape.
  void PlaceImage(const Datum& image, uint64_t record, int i, int batch_size, Batch<Dtype>* batch);
  void InternalThreadEntry() override;
  void WakeInternalThread() override { prefetch_free_.close(); }

  vector<shared_ptr<Batch<Dtype>>> prefetch_;
  BlockingQueue<Batch<Dtype>*> prefetch_free_, prefetch_full_;
  Batch<Dtype>* prefetch_current_ = nullptr;  // the one that the tops use
  Blob<Dtype> transformed_data_;

 private:
  void StartAt(uint64_t pass);
  /// Copies it to the device of GPU mode.
  void Send(Batch<Dtype>* batch) const;
  /// Waits for the batch of this pass; the one before may be filled again.
  Batch<Dtype>* NextBatch();

  uint64_t first_pass_ = 0;
  uint64_t expected_pass_ = 0;
  double wait_seconds_ = 0;
};

}  // namespace caffe

#endif  // CAFFE_BASE_DATA_LAYER_HPP_

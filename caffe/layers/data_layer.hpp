#ifndef CAFFE_DATA_LAYER_HPP_
#define CAFFE_DATA_LAYER_HPP_

#include <memory>
#include <string>
#include <vector>

#include "caffe/layers/base_data_layer.hpp"
#include "caffe/resident_images.hpp"
#include "caffe/util/db.hpp"

namespace caffe {

/// Batches of images from an LMDB, in the order of its keys, around and around.
/// data_param: source; batch_size; backend: LMDB; prefetch = 4 batches read ahead; rand_skip = 0:
/// begin at a random record below it. transform_param: data_transformer.hpp. Tops: batch_size x C x
/// H x W; labels, batch_size. All images of a batch have one size, that of its first; with
/// batch_size 1 each may have its own. Of several solvers (Caffe::solver_count) each takes every
/// so-many-th record, from its rank on. Errors name the source and, for a damaged record, its key.
/// In GPU mode a data set of at most 2 GiB of pixels, all images of one size, is kept in the GPU's
/// memory from the first pass on, and transformed there (resident_images.hpp); the batches are the
/// same.
/// They are: a source or batch_size that is not given; a source that cannot be opened or is empty;
/// a record that does not decode, or has another size than the batch's first.
template <typename Dtype>
class DataLayer : public BasePrefetchingDataLayer<Dtype> {
 public:
  explicit DataLayer(const LayerParameter& param) : BasePrefetchingDataLayer<Dtype>(param) {}
  ~DataLayer() override { this->StopInternalThread(); }
  void DataLayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "Data"; }
  int MinTopBlobs() const override { return 1; }
  int MaxTopBlobs() const override { return 2; }

 protected:
  void load_batch(Batch<Dtype>* batch) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;

 private:
  /// The data set on the device; null, and the log says why, if it does not fit, or some record has
  /// to be loaded on the CPU: because its size is another, or it is damaged and must not matter
  /// until its turn comes.
  std::unique_ptr<ResidentImages<Dtype>> MakeResident();
  /// Makes and fills them; else says why they cannot be there.
  string FillResident(std::unique_ptr<ResidentImages<Dtype>>* images);
  void SeekTo(uint64_t record);
  void Advance();
  Datum Read();
  /// Runs `function` with the cursor on a record; its Error then names source and key.
  template <typename Function>
  void Locate(uint64_t record, Function function);

  shared_ptr<db::DB> db_;
  shared_ptr<db::Cursor> cursor_;
  uint64_t position_ = 0;  // record under the cursor
  uint64_t skip_ = 0;      // the first record, and the step from one to the next
  uint64_t stride_ = 1;
  bool tried_resident_ = false;
  std::unique_ptr<ResidentImages<Dtype>> resident_;
};

}  // namespace caffe

#endif  // CAFFE_DATA_LAYER_HPP_

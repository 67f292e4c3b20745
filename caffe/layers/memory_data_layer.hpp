#ifndef CAFFE_MEMORY_DATA_LAYER_HPP_
#define CAFFE_MEMORY_DATA_LAYER_HPP_

#include <vector>

#include "caffe/layers/base_data_layer.hpp"

namespace caffe {

/// Batches from the caller's memory, around and around, beginning with the first image when the
/// memory is given. memory_data_param: batch_size, channels, height, width, all needed. Tops:
/// batch_size x C x H x W; labels, batch_size.
/// Errors: one of the four missing or 0; a Forward before there are images.
template <typename Dtype>
class MemoryDataLayer : public BaseDataLayer<Dtype> {
 public:
  explicit MemoryDataLayer(const LayerParameter& param) : BaseDataLayer<Dtype>(param) {}
  void DataLayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "MemoryData"; }
  int ExactNumTopBlobs() const override { return 2; }

  /// Transforms and copies images; their number must be a multiple of the batch size.
  virtual void AddDatumVector(const vector<Datum>& datum_vector);
  virtual void AddMatVector(const vector<cv::Mat>& mat_vector, const vector<int>& labels);
  /// Uses n images and labels where they are, untransformed; the caller keeps them alive.
  void Reset(Dtype* data, Dtype* label, int n);
  /// An Error while images wait to be used. Where their number is no multiple of the new size, new
  /// ones must be given before the next Forward.
  void set_batch_size(int new_size);
  int batch_size() const { return batch_size_; }
  int channels() const { return channels_; }
  int height() const { return height_; }
  int width() const { return width_; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;

 private:
  void Take(const vector<int>& labels);
  /// The image that the batch of a pass begins with.
  int FirstImage(uint64_t pass) const;

  int batch_size_ = 0, channels_ = 0, height_ = 0, width_ = 0, size_ = 0;
  Dtype* data_ = nullptr;
  Dtype* labels_ = nullptr;
  int n_ = 0;
  uint64_t first_pass_ = 0;  // the pass that begins with image 0
  uint64_t added_ = 0;       // calls of AddDatumVector and AddMatVector so far
  Blob<Dtype> added_data_, added_label_;
};

}  // namespace caffe

#endif  // CAFFE_MEMORY_DATA_LAYER_HPP_

#ifndef CAFFE_IMAGE_DATA_LAYER_HPP_
#define CAFFE_IMAGE_DATA_LAYER_HPP_

#include <string>
#include <utility>
#include <vector>

#include "caffe/layers/base_data_layer.hpp"

namespace caffe {

/// Batches of image files, read as they are needed. image_data_param: source, a text file with
/// lines "path label"; root_folder before each path; batch_size = 1; shuffle = false: another order
/// in every epoch; rand_skip = 0; new_height and new_width (resize); is_color = true. Tops:
/// batch_size x C x H x W; labels, batch_size. All images of a batch have one size, that of its
/// first; with batch_size 1 each may have its own. Errors name the list, its line and the image.
/// They are: a list that is missing, empty or has a line without a label; an image that is missing
/// or does not decode; another size than the batch's first; one of new_height and new_width without
/// the other; batch_size 0.
template <typename Dtype>
class ImageDataLayer : public BasePrefetchingDataLayer<Dtype> {
 public:
  explicit ImageDataLayer(const LayerParameter& param) : BasePrefetchingDataLayer<Dtype>(param) {}
  ~ImageDataLayer() override { this->StopInternalThread(); }
  void DataLayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "ImageData"; }
  int ExactNumTopBlobs() const override { return 2; }

 protected:
  void load_batch(Batch<Dtype>* batch) override;

 private:
  /// Index in lines_ of the record-th image that is asked for.
  int LineOf(uint64_t record);
  Datum ReadImage(int line) const;
  /// Runs `function` with that line's image; its Error then names the list, the line and the image.
  template <typename Function>
  void Locate(int line, Function function);

  vector<pair<string, int>> lines_;
  vector<int> line_numbers_;
  vector<int> order_;
  uint64_t order_epoch_ = ~uint64_t{0};
  uint64_t skip_ = 0;  // the first line, and the step from one to the next
  uint64_t stride_ = 1;
};

}  // namespace caffe

#endif  // CAFFE_IMAGE_DATA_LAYER_HPP_

#ifndef CAFFE_RESIDENT_IMAGES_HPP_
#define CAFFE_RESIDENT_IMAGES_HPP_

#include <memory>
#include <string>

#include "caffe/data_transformer.hpp"
#include "caffe/util/device_workspace.hpp"

namespace caffe {

/// All images of a data set as bytes in the memory of GPU mode's device, where batches are made of
/// them: nothing but the number of the batch is sent from the host. What a batch has is, to the
/// last bit, what DataTransformer computes, random windows included.
template <typename Dtype>
class ResidentImages {
 public:
  /// Whether a data set of so many bytes should be kept: at most 2 GiB, and half of the device's
  /// memory is still free after it.
  static bool Fits(uint64_t bytes, const Device::Memory& memory) {
    return bytes <= uint64_t{2} << 30 && bytes + memory.total / 2 <= memory.free;
  }

  /// Room for `count` images of C x H x W = `shape`, and their labels. Throws Error if the device's
  /// memory does not hold them, or `transform` does not fit the shape.
  ResidentImages(DataTransformer<Dtype>* transform, const vector<int>& shape, int count);

  /// Puts `images` behind those that are there. False, and nothing is done, if one of them is not
  /// of bytes or has another shape, or there is no room.
  bool Add(const vector<Datum>& images);
  int size() const { return size_; }
  uint64_t bytes() const { return uint64_t(count_) * pixels_; }

  /// Records `first`, first + 1, ... of a layer that reads image (skip + record * stride) modulo
  /// size, transformed with the random numbers of (key, record): `batch` of them to `data`, and
  /// their labels, unless null, to `label`.
  struct Records {
    uint64_t key, first, skip, stride;
  };
  void Transform(const Records& records, int batch, Dtype* data, Dtype* label) const;

 private:
  DataTransformer<Dtype>* transform_;
  const vector<int> shape_;
  const int count_, pixels_;
  int size_ = 0;
  ImageWindows windows_;
  DeviceWorkspace memory_;
  uint8_t* images_;
  Dtype *labels_, *mean_values_;
};

}  // namespace caffe

#endif  // CAFFE_RESIDENT_IMAGES_HPP_

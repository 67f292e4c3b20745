#ifndef CAFFE_BLOB_HPP_
#define CAFFE_BLOB_HPP_

#include <string>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/syncedmem.hpp"

const int kMaxBlobAxes = 32;

namespace caffe {

/// An array of up to 32 axes, outermost first, with its values (data) and the gradient of the loss
/// with respect to them (diff). Memory is allocated when it is first touched and may be shared.
template <typename Dtype>
class Blob {
 public:
  Blob() = default;
  explicit Blob(int num, int channels, int height, int width);
  explicit Blob(const vector<int>& shape);

  /// Changes the shape; memory grows when needed and never shrinks, so values stay where they were.
  void Reshape(int num, int channels, int height, int width);
  void Reshape(const vector<int>& shape);
  void Reshape(const BlobShape& shape);
  void ReshapeLike(const Blob& other);

  /// "2 3 4 (24)": the extents, and their product.
  string shape_string() const;
  const vector<int>& shape() const { return shape_; }
  int shape(int index) const { return shape_[CanonicalAxisIndex(index)]; }
  int num_axes() const { return static_cast<int>(shape_.size()); }
  int count() const { return count_; }
  /// Product of the extents of the axes [start_axis, end_axis).
  int count(int start_axis, int end_axis) const;
  int count(int start_axis) const { return count(start_axis, num_axes()); }
  /// Turns an index that counts from the end (-1: the last axis) into one from the front.
  int CanonicalAxisIndex(int axis_index) const;

  // The first four axes by their names in image networks; axes that are not there have extent 1.
  int num() const { return LegacyShape(0); }
  int channels() const { return LegacyShape(1); }
  int height() const { return LegacyShape(2); }
  int width() const { return LegacyShape(3); }
  int LegacyShape(int index) const;

  int offset(int n, int c = 0, int h = 0, int w = 0) const;
  int offset(const vector<int>& indices) const;

  /// Copies data (or, with copy_diff, the diff) of a blob of the same shape; with reshape, of any
  /// shape.
  void CopyFrom(const Blob<Dtype>& source, bool copy_diff = false, bool reshape = false);

  Dtype data_at(int n, int c, int h, int w) const { return cpu_data()[offset(n, c, h, w)]; }
  Dtype diff_at(int n, int c, int h, int w) const { return cpu_diff()[offset(n, c, h, w)]; }
  Dtype data_at(const vector<int>& index) const { return cpu_data()[offset(index)]; }
  Dtype diff_at(const vector<int>& index) const { return cpu_diff()[offset(index)]; }

  const shared_ptr<SyncedMemory>& data() const {
    CHECK(data_);
    return data_;
  }
  const shared_ptr<SyncedMemory>& diff() const {
    CHECK(diff_);
    return diff_;
  }

  const Dtype* cpu_data() const;
  /// Uses memory from outside, of as many values as the blob has now, until it grows.
  void set_cpu_data(Dtype* data);
  const Dtype* gpu_data() const;
  void set_gpu_data(Dtype* data);
  const Dtype* cpu_diff() const;
  const Dtype* gpu_diff() const;
  Dtype* mutable_cpu_data();
  Dtype* mutable_gpu_data();
  Dtype* mutable_cpu_diff();
  Dtype* mutable_gpu_diff();

  // Beyond Caffe's API: the values in channel blocks (util/channel_blocks.hpp) for layers with fast
  // paths. `block` 1 means the plain layout. The blob is seen as shape(0) x shape(1) x the rest.
  // Reading or mutating reorders when the valid copy has another layout; overwriting never does,
  // and the caller then writes all of it, zeros in the lanes beyond the last channel included.
  // Blocks other than 1 are for Dtype = float only.
  int data_block() const { return data_ ? data_->block() : 1; }
  int diff_block() const { return diff_ ? diff_->block() : 1; }
  const Dtype* cpu_data(int block) const;
  const Dtype* cpu_diff(int block) const;
  Dtype* mutable_cpu_data(int block);
  Dtype* mutable_cpu_diff(int block);
  Dtype* overwrite_cpu_data(int block);
  Dtype* overwrite_cpu_diff(int block);
  /// The device's memory for a caller who writes all of it.
  Dtype* overwrite_gpu_data();
  Dtype* overwrite_gpu_diff();
  ChannelBlocks Blocks(int block) const;

  /// data -= diff
  void Update();
  void FromProto(const BlobProto& proto, bool reshape = true);
  void ToProto(BlobProto* proto, bool write_diff = false) const;

  Dtype asum_data() const;
  Dtype asum_diff() const;
  Dtype sumsq_data() const;
  Dtype sumsq_diff() const;
  void scale_data(Dtype scale_factor);
  void scale_diff(Dtype scale_factor);

  /// From now on this blob's data (diff) is the memory of `other`, which must have the same count.
  void ShareData(const Blob& other);
  void ShareDiff(const Blob& other);

  /// Beyond Caffe's API: uses `memory`, of at least this blob's size, from now on.
  void UseDataMemory(const shared_ptr<SyncedMemory>& memory);
  void UseDiffMemory(const shared_ptr<SyncedMemory>& memory);

  bool ShapeEquals(const BlobProto& other) const;

 protected:
  void FitMemory();

  shared_ptr<SyncedMemory> data_;
  shared_ptr<SyncedMemory> diff_;
  vector<int> shape_;
  int count_ = 0;
  int capacity_ = 0;

  DISABLE_COPY_AND_ASSIGN(Blob);
};

}  // namespace caffe

#endif  // CAFFE_BLOB_HPP_

#ifndef CAFFE_SYNCEDMEM_HPP_
#define CAFFE_SYNCEDMEM_HPP_

#include <cstdlib>

#include "caffe/common.hpp"
#include "util/channel_blocks.hpp"

namespace caffe {

/// Host memory, 64-byte aligned, zero when fresh; what size() == 0 bytes point to is not to be
/// read. In GPU mode 64 KiB and more are memory that the GPU copies from directly (pinned) where
/// there is some: *use_cuda tells.
void CaffeMallocHost(void** ptr, size_t size, bool* use_cuda);
void CaffeFreeHost(void* ptr, bool use_cuda);

/// The memory of a blob: one array with up to three copies, allocated when first asked for and kept
/// equal by copying when a stale one is read.
///   plain    what cpu_data() gives: N x C x H x W;
///   gpu      the same on the device of GPU mode (util/device.hpp);
///   blocked  floats in the layout of a backend (util/channel_blocks.hpp), which the layers that
///            understand it hand on to each other, so that no plain copy is made between them.
class SyncedMemory {
 public:
  SyncedMemory() : SyncedMemory(0) {}
  explicit SyncedMemory(size_t size) : size_(size) {}
  ~SyncedMemory();

  const void* cpu_data();
  /// Uses the caller's memory from now on; it is not freed here.
  void set_cpu_data(void* data);
  void* mutable_cpu_data();
  const void* gpu_data();
  void set_gpu_data(void* data);
  void* mutable_gpu_data();

  enum SyncedHead { UNINITIALIZED, HEAD_AT_CPU, HEAD_AT_GPU, SYNCED };
  SyncedHead head() const {
    const bool at_cpu = plain_valid_ || blocked_valid_;
    return gpu_valid_ ? (at_cpu ? SYNCED : HEAD_AT_GPU) : at_cpu ? HEAD_AT_CPU : UNINITIALIZED;
  }
  size_t size() const { return size_; }

  /// The values in `layout`, for reading.
  const float* cpu_blocked(const ChannelBlocks& layout);
  /// The same for writing. `keep` false: the caller writes every element, zeros beyond the channels
  /// included, and nothing is copied to begin with.
  float* mutable_cpu_blocked(const ChannelBlocks& layout, bool keep);
  /// Whoever kept a pointer to the plain copy may have written there since: where it is valid, the
  /// blocked copy is not any more.
  void PlainMayHaveChanged() { blocked_valid_ = blocked_valid_ && !plain_valid_; }
  /// The plain memory for a caller who writes all of it.
  void* overwrite_cpu_data();
  /// The same on the device.
  void* overwrite_gpu_data();
  /// Block size of the copy that can be read at no cost; a blocked copy comes before a plain one.
  int block() const { return blocked_valid_ ? layout_.block : 1; }
  /// Bytes allocated on the host, both copies together.
  size_t allocated() const;

 private:
  void AllocatePlain();
  void AllocateGpu();
  void ToGpu();
  void OnlyValid(bool* copy);
  void AllocateBlocked(const ChannelBlocks& layout);
  void ToPlain();
  void ToBlocked(const ChannelBlocks& layout);

  size_t size_;
  void* plain_ = nullptr;
  bool own_plain_ = false, pinned_plain_ = false;
  bool plain_valid_ = false;
  void* gpu_ = nullptr;
  bool own_gpu_ = false;
  bool gpu_valid_ = false;
  float* blocked_ = nullptr;
  size_t blocked_capacity_ = 0;
  ChannelBlocks layout_;
  bool blocked_valid_ = false;

  DISABLE_COPY_AND_ASSIGN(SyncedMemory);
};

}  // namespace caffe

#endif  // CAFFE_SYNCEDMEM_HPP_

#include "caffe/syncedmem.hpp"

namespace caffe {

void CaffeMallocHost(void** ptr, size_t size, bool* use_cuda) {
  *use_cuda = false;
  const size_t line = 64;
  *ptr = std::aligned_alloc(line, (size + line) / line * line);
  ENFORCE(*ptr) << "out of memory: " << size << " bytes asked for";
  std::memset(*ptr, 0, size);
}

void CaffeFreeHost(void* ptr, bool) {
  std::free(ptr);
}

SyncedMemory::~SyncedMemory() {
  if (own_plain_) CaffeFreeHost(plain_, false);
  CaffeFreeHost(blocked_, false);
}

void SyncedMemory::AllocatePlain() {
  if (plain_) return;
  bool use_cuda;
  CaffeMallocHost(&plain_, size_, &use_cuda);
  own_plain_ = true;
}

void SyncedMemory::AllocateBlocked(const ChannelBlocks& layout) {
  const size_t bytes = layout.count() * sizeof(float);
  if (bytes > blocked_capacity_) {
    CaffeFreeHost(blocked_, false);
    blocked_ = nullptr;
    void* memory;
    bool use_cuda;
    CaffeMallocHost(&memory, bytes, &use_cuda);
    blocked_ = static_cast<float*>(memory);
    blocked_capacity_ = bytes;
  }
  layout_ = layout;
}

void SyncedMemory::ToPlain() {
  AllocatePlain();
  if (!plain_valid_ && blocked_valid_) {
    BlocksToPlain(layout_, blocked_, static_cast<float*>(plain_));
  }
  plain_valid_ = true;
}

void SyncedMemory::ToBlocked(const ChannelBlocks& layout) {
  if (blocked_valid_ && layout_ == layout) return;
  ToPlain();
  blocked_valid_ = false;
  AllocateBlocked(layout);
  PlainToBlocks(layout, static_cast<const float*>(plain_), blocked_);
  blocked_valid_ = true;
}

const void* SyncedMemory::cpu_data() {
  ToPlain();
  return plain_;
}

void* SyncedMemory::mutable_cpu_data() {
  ToPlain();
  blocked_valid_ = false;
  return plain_;
}

void* SyncedMemory::overwrite_cpu_data() {
  AllocatePlain();
  plain_valid_ = true;
  blocked_valid_ = false;
  return plain_;
}

void SyncedMemory::set_cpu_data(void* data) {
  CHECK(data);
  if (own_plain_) CaffeFreeHost(plain_, false);
  plain_ = data;
  own_plain_ = false;
  plain_valid_ = true;
  blocked_valid_ = false;
}

const float* SyncedMemory::cpu_blocked(const ChannelBlocks& layout) {
  if (layout.IsPlain()) return static_cast<const float*>(cpu_data());
  ToBlocked(layout);
  return blocked_;
}

float* SyncedMemory::mutable_cpu_blocked(const ChannelBlocks& layout, bool keep) {
  if (layout.IsPlain()) {
    return static_cast<float*>(keep ? mutable_cpu_data() : overwrite_cpu_data());
  }
  if (keep) {
    ToBlocked(layout);
  } else {
    AllocateBlocked(layout);
    blocked_valid_ = true;
  }
  plain_valid_ = false;
  return blocked_;
}

size_t SyncedMemory::allocated() const {
  return (own_plain_ ? size_ : 0) + blocked_capacity_;
}

const void* SyncedMemory::gpu_data() {
  NO_GPU;
}
void SyncedMemory::set_gpu_data(void*) {
  NO_GPU;
}
void* SyncedMemory::mutable_gpu_data() {
  NO_GPU;
}

}  // namespace caffe

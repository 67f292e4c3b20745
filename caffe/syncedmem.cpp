#include "caffe/syncedmem.hpp"

#include "caffe/util/device.hpp"

namespace caffe {

namespace {

const size_t kLine = 64;

void* AllocateAligned(size_t size) {
  void* memory = std::aligned_alloc(kLine, (size + kLine) / kLine * kLine);
  ENFORCE(memory) << "out of memory: " << size << " bytes asked for";
  return memory;
}

// Whether plain memory is as well one in that layout, whose vectors are aligned; a caller's own
// (set_cpu_data) may begin anywhere.
bool IsBoth(const ChannelBlocks& layout, const void* plain) {
  return layout.block == 1 || (layout.IsPlain() && reinterpret_cast<uintptr_t>(plain) % kLine == 0);
}

// Pinning takes far longer than copying a few numbers by way of the driver's own pinned memory.
void* AllocateHost(size_t size, bool* pinned) {
  const bool pins = Caffe::mode() == Caffe::GPU && size >= 64 << 10;
  void* memory = pins ? Device::Get().AllocateHost(size) : nullptr;
  *pinned = memory != nullptr;
  return *pinned ? memory : AllocateAligned(size);
}

}  // namespace

void CaffeMallocHost(void** ptr, size_t size, bool* use_cuda) {
  *ptr = AllocateHost(size, use_cuda);
  std::memset(*ptr, 0, size);
}

void CaffeFreeHost(void* ptr, bool use_cuda) {
  if (use_cuda) {
    Device::Get().FreeHost(ptr);
  } else {
    std::free(ptr);
  }
}

SyncedMemory::~SyncedMemory() {
  if (own_plain_) CaffeFreeHost(plain_, pinned_plain_);
  std::free(blocked_);
  if (own_gpu_) Device::Get().Free(gpu_);
}

// Not cleared: what is never written takes no memory of the machine, and memory that blobs of
// several sizes and layouts share (Net::ReuseMemory) is mostly written in part.
void SyncedMemory::AllocatePlain() {
  if (plain_) return;
  plain_ = AllocateHost(size_, &pinned_plain_);
  own_plain_ = true;
}

void SyncedMemory::AllocateGpu() {
  if (gpu_) return;
  gpu_ = Device::Get().Allocate(size_);
  own_gpu_ = true;
}

// `copy` is to be written: the others are stale. At no time are all three.
void SyncedMemory::OnlyValid(bool* copy) {
  *copy = true;
  for (bool* valid : {&plain_valid_, &blocked_valid_, &gpu_valid_}) {
    if (valid != copy) *valid = false;
  }
}

void SyncedMemory::AllocateBlocked(const ChannelBlocks& layout) {
  const size_t bytes = layout.count() * sizeof(float);
  if (bytes > blocked_capacity_) {
    std::free(blocked_);
    blocked_ = nullptr;  // also where there is no memory
    blocked_capacity_ = 0;
    blocked_valid_ = false;
    blocked_ = static_cast<float*>(AllocateAligned(bytes));
    blocked_capacity_ = bytes;
  }
  layout_ = layout;
}

void SyncedMemory::ToPlain() {
  if (plain_valid_) return;
  AllocatePlain();
  if (blocked_valid_) {
    BlocksToPlain(layout_, blocked_, static_cast<float*>(plain_));
  } else if (gpu_valid_) {
    Device::Get().CopyToHost(plain_, gpu_, size_);
  } else {
    std::memset(plain_, 0, size_);
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
  OnlyValid(&plain_valid_);
  return plain_;
}

void* SyncedMemory::overwrite_cpu_data() {
  AllocatePlain();
  OnlyValid(&plain_valid_);
  return plain_;
}

void SyncedMemory::set_cpu_data(void* data) {
  CHECK(data);
  if (own_plain_) CaffeFreeHost(plain_, pinned_plain_);
  plain_ = data;
  own_plain_ = false;
  OnlyValid(&plain_valid_);
}

const float* SyncedMemory::cpu_blocked(const ChannelBlocks& layout) {
  if (IsBoth(layout, plain_)) return static_cast<const float*>(cpu_data());
  ToBlocked(layout);
  return blocked_;
}

float* SyncedMemory::mutable_cpu_blocked(const ChannelBlocks& layout, bool keep) {
  if (IsBoth(layout, plain_)) {
    return static_cast<float*>(keep ? mutable_cpu_data() : overwrite_cpu_data());
  }
  if (keep) {
    ToBlocked(layout);
  } else {
    AllocateBlocked(layout);
  }
  OnlyValid(&blocked_valid_);
  return blocked_;
}

size_t SyncedMemory::allocated() const {
  return (own_plain_ ? size_ : 0) + blocked_capacity_;
}

void SyncedMemory::ToGpu() {
  AllocateGpu();
  if (gpu_valid_) return;
  if (plain_valid_ || blocked_valid_) {
    ToPlain();
    Device::Get().CopyToDevice(gpu_, plain_, size_);
  } else {
    Device::Get().Fill(gpu_, 0, size_);
  }
  gpu_valid_ = true;
}

const void* SyncedMemory::gpu_data() {
  ToGpu();
  return gpu_;
}

void* SyncedMemory::mutable_gpu_data() {
  ToGpu();
  OnlyValid(&gpu_valid_);
  return gpu_;
}

void* SyncedMemory::overwrite_gpu_data() {
  AllocateGpu();
  OnlyValid(&gpu_valid_);
  return gpu_;
}

void SyncedMemory::set_gpu_data(void* data) {
  CHECK(data);
  if (own_gpu_) Device::Get().Free(gpu_);
  gpu_ = data;
  own_gpu_ = false;
  OnlyValid(&gpu_valid_);
}

}  // namespace caffe

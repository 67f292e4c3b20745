#ifndef CAFFE_UTIL_DEVICE_WORKSPACE_HPP_
#define CAFFE_UTIL_DEVICE_WORKSPACE_HPP_

#include <vector>

#include "caffe/util/device.hpp"

namespace caffe {

/// Memory of the device for one call, not cleared; given back when this is destroyed, in the order
/// of the work: kernels that were started before may still use it.
class DeviceWorkspace {
 public:
  DeviceWorkspace() = default;
  DeviceWorkspace(const DeviceWorkspace&) = delete;
  DeviceWorkspace& operator=(const DeviceWorkspace&) = delete;
  ~DeviceWorkspace() {
    for (void* memory : memory_) Device::Get().Free(memory);
  }

  template <typename T>
  T* Get(size_t count) {
    memory_.push_back(Device::Get().Allocate(count * sizeof(T)));
    return static_cast<T*>(memory_.back());
  }

 private:
  std::vector<void*> memory_;
};

}  // namespace caffe

#endif  // CAFFE_UTIL_DEVICE_WORKSPACE_HPP_

#ifndef METAPERTURB_LAYERS_GPU_BLOBS_HPP_
#define METAPERTURB_LAYERS_GPU_BLOBS_HPP_

// The arrays of blobs on the device, for the GPU halves of layers, which are the same in this
// project's framework and in a Caffe of the user's own:
//
//   GpuData(blob), GpuDiff(blob)                      to be read
//   MutableGpuData(&blob), MutableGpuDiff(&blob)      to be read and written
//   OverwriteGpuData(&blob), OverwriteGpuDiff(&blob)  to be filled; what they held is lost

#include "caffe/blob.hpp"

namespace caffe {

#if defined(METAPERTURB_FOREIGN_HOST) && defined(CPU_ONLY)
// Such a host has no arrays on a device. The emulated one works on those of the CPU, so that the
// GPU halves can be tested within the host.
template <typename T>
const T* GpuData(const Blob<T>& blob) {
  return blob.cpu_data();
}
template <typename T>
const T* GpuDiff(const Blob<T>& blob) {
  return blob.cpu_diff();
}
template <typename T>
T* MutableGpuData(Blob<T>* blob) {
  return blob->mutable_cpu_data();
}
template <typename T>
T* MutableGpuDiff(Blob<T>* blob) {
  return blob->mutable_cpu_diff();
}
#else
template <typename T>
const T* GpuData(const Blob<T>& blob) {
  return blob.gpu_data();
}
template <typename T>
const T* GpuDiff(const Blob<T>& blob) {
  return blob.gpu_diff();
}
template <typename T>
T* MutableGpuData(Blob<T>* blob) {
  return blob->mutable_gpu_data();
}
template <typename T>
T* MutableGpuDiff(Blob<T>* blob) {
  return blob->mutable_gpu_diff();
}
#endif

#ifdef METAPERTURB_FOREIGN_HOST
template <typename T>
T* OverwriteGpuData(Blob<T>* blob) {
  return MutableGpuData(blob);
}
template <typename T>
T* OverwriteGpuDiff(Blob<T>* blob) {
  return MutableGpuDiff(blob);
}
#else
template <typename T>
T* OverwriteGpuData(Blob<T>* blob) {
  return blob->overwrite_gpu_data();
}
template <typename T>
T* OverwriteGpuDiff(Blob<T>* blob) {
  return blob->overwrite_gpu_diff();
}
#endif

}  // namespace caffe

#endif  // METAPERTURB_LAYERS_GPU_BLOBS_HPP_

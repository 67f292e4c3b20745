#ifndef CAFFE_UTIL_DEVICE_HPP_
#define CAFFE_UTIL_DEVICE_HPP_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace caffe {

/// What GPU mode computes on: the memory of an NVIDIA GPU, or, where METAPERTURB_GPU=emulated is in
/// the environment, memory of the host that only kernels (util/device_launch.hpp) may touch. The
/// emulated device runs the same kernels block by block on the CPU, as late as a GPU may: it is
/// slow, and it is how the GPU path is tested on a machine without a GPU.
class Device {
 public:
  virtual ~Device() {}

  /// The device of this process. Throws Error, saying why, where there is none.
  static Device& Get();
  /// Whether Get() succeeds; `why_not`, unless null, gets the reason in one line.
  static bool IsThere(std::string* why_not = nullptr);

  /// Runs kernels on the CPU.
  virtual bool IsEmulated() const = 0;
  virtual int Count() const = 0;
  /// Makes GPU `id` the one of the calling thread. Throws Error if there is no such GPU.
  virtual void Select(int id) = 0;
  virtual int Selected() const = 0;
  /// Name, memory and compute capability of the selected GPU, a line each.
  virtual std::string Describe() const = 0;
  /// Bytes of shared memory that a thread block can have at most.
  virtual size_t SharedMemory() const = 0;
  /// Bytes of the selected GPU's memory, and how many of them Allocate can have.
  struct Memory {
    size_t total, free;
  };
  virtual Memory MemoryLeft() const = 0;

  /// Memory of the selected GPU, at least 256-byte aligned, not cleared. Throws Error if there is
  /// not enough. What is freed is kept for the next Allocate.
  virtual void* Allocate(size_t bytes) = 0;
  virtual void Free(void* memory) = 0;
  /// Waits for all work of the selected GPU, and gives what was freed back to the system, where
  /// libraries that allocate for themselves find it.
  virtual void ReleaseFreed() = 0;
  /// Host memory that the GPU reads and writes directly (pinned); null if there is none to be had.
  virtual void* AllocateHost(size_t bytes) = 0;
  virtual void FreeHost(void* memory) = 0;

  // Work is done in the order in which the calling thread asks for it, and that of threads without
  // a stream of their own (OwnStream) in the order of all. The copies to and from the host return
  // when they are done; the others may still run.
  virtual void CopyToDevice(void* to, const void* from, size_t bytes) = 0;
  virtual void CopyToHost(void* to, const void* from, size_t bytes) = 0;
  virtual void CopyInDevice(void* to, const void* from, size_t bytes) = 0;
  /// Where each end may be on the host or the device; done when it returns.
  virtual void CopyAnywhere(void* to, const void* from, size_t bytes) = 0;
  /// Sets every byte.
  virtual void Fill(void* memory, int value, size_t bytes) = 0;
  /// Waits for the calling thread's work on the selected GPU. Throws Error if a kernel failed.
  virtual void Synchronize() = 0;
  /// On the emulated device: `work`, on memory of the device, in the calling thread's stream. It is
  /// done when a thread waits for it, and has its arguments of now, by value.
  virtual void Do(std::function<void()> work);

  /// The CUDA stream (cudaStream_t) of the calling thread's work on the selected GPU; null is the
  /// default stream, which waits for all others of that GPU, and they for it.
  virtual void* Stream() = 0;
  /// The calling thread's stream; use OwnStream.
  enum StreamKind { DEFAULT, OWN, INDEPENDENT };
  virtual void UseStream(StreamKind kind) = 0;
};

/// While one lives, the calling thread's work is in a stream of its own: it may run at the same
/// time as that of other such threads, and, if the stream is INDEPENDENT, of the default stream.
/// Before another thread reads the results, call Synchronize.
class OwnStream {
 public:
  explicit OwnStream(Device::StreamKind kind = Device::OWN) { Device::Get().UseStream(kind); }
  ~OwnStream() { Device::Get().UseStream(Device::DEFAULT); }
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;
};

/// The numbers in "0,2" or, of all GPUs, "all". Throws Error, naming the number, for what is no
/// number, is named twice or is not there, and, saying why, where there is no GPU.
std::vector<int> ParseGpuList(const std::string& list);

/// A new emulated device; Get() keeps the one of the process.
Device* EmulatedDevice();

/// The NVIDIA GPUs; null, and the reason in `why_not`, where there are none or no driver. Null in a
/// build without CUDA.
Device* CudaDevice(std::string* why_not);

}  // namespace caffe

#endif  // CAFFE_UTIL_DEVICE_HPP_

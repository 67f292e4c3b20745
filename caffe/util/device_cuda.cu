// Memory and order of work on NVIDIA GPUs, by the CUDA runtime. In a build without CUDA this file
// is empty.
#ifdef METAPERTURB_CUDA

#include <cuda_runtime.h>

#include <iomanip>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "caffe/util/device.hpp"
#include "util/error.hpp"

namespace caffe {

namespace {

void Check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // is not kept for the next call
  THROW_ERROR << "GPU: " << what << ": " << cudaGetErrorString(status);
}

// 13010 is CUDA 13.1.
std::string Version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

// Is there where the other kernels are.
__global__ void Nothing() {}

// Streams of a thread, made when they are first needed. OWN ones are ordered with the default
// stream, where a layer of the user's may start its kernels.
struct OwnStreams {
  std::map<std::pair<int, Device::StreamKind>, cudaStream_t> of_gpu;
  ~OwnStreams() {
    for (const auto& each : of_gpu) {
      if (cudaStreamDestroy(each.second) != cudaSuccess) cudaGetLastError();
    }
  }
  static OwnStreams& OfThread() {
    static thread_local OwnStreams streams;
    return streams;
  }
};
thread_local Device::StreamKind stream_kind = Device::DEFAULT;

class NvidiaDevice : public Device {
 public:
  explicit NvidiaDevice(int count)
      : count_(count), is_prepared_(count, false), has_code_(count, false) {
    // Some virtual GPUs have none: there, every Allocate and Free waits for the GPU.
    for (int id = 0; id < count; ++id) {
      int supported = 0;
      const cudaError_t status =
          cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, id);
      if (status != cudaSuccess) cudaGetLastError();
      has_pools_ = has_pools_ && status == cudaSuccess && supported;
    }
  }
  bool IsEmulated() const override { return false; }
  int Count() const override { return count_; }

  void Select(int id) override {
    ENFORCE(id >= 0 && id < count_)
        << "GPU " << id << ": there is "
        << (count_ == 1 ? "one GPU, 0" : "no such one; the last is " + std::to_string(count_ - 1));
    Check(cudaSetDevice(id), "selection");
    ExpectCode(id);
  }

  int Selected() const override {
    int id = 0;
    Check(cudaGetDevice(&id), "selection");
    return id;
  }

  std::string Describe() const override {
    cudaDeviceProp properties;
    Check(cudaGetDeviceProperties(&properties, Selected()), "properties");
    std::ostringstream lines;
    lines << "Device id: " << Selected() << "\nName: " << properties.name
          << "\nCompute capability: " << properties.major << "." << properties.minor
          << "\nMultiprocessors: " << properties.multiProcessorCount
          << "\nTotal global memory: " << properties.totalGlobalMem
          << "\nTotal shared memory per block: " << properties.sharedMemPerBlock;
    return lines.str();
  }

  size_t SharedMemory() const override {
    int bytes = 0;
    Check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, Selected()),
          "properties");
    return static_cast<size_t>(bytes);
  }

  Memory MemoryLeft() const override {
    Memory memory;
    Check(cudaMemGetInfo(&memory.free, &memory.total), "memory");
    if (has_pools_) {
      uint64_t reserved = 0, used = 0;
      const cudaMemPool_t pool = Pool(Selected());
      Check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved), "memory");
      Check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used), "memory");
      memory.free += reserved - used;
    }
    return memory;
  }

  void* Allocate(size_t bytes) override {
    Prepare(Selected());
    void* memory = nullptr;
    cudaError_t status = TryAllocate(&memory, bytes);
    if (status == cudaErrorMemoryAllocation) {
      // What is kept may be in pieces that are too small, or freed in another stream.
      cudaGetLastError();
      ReleaseFreed();
      status = TryAllocate(&memory, bytes);
    }
    if (status == cudaErrorMemoryAllocation) cudaGetLastError();
    ENFORCE(status != cudaErrorMemoryAllocation)
        << "GPU " << Selected() << ": out of memory: " << bytes << " bytes asked for";
    Check(status, "allocation");
    return memory;
  }

  void ReleaseFreed() override {
    Check(cudaDeviceSynchronize(), "kernel");
    if (has_pools_) Check(cudaMemPoolTrimTo(Pool(Selected()), 0), "memory pool");
  }

  // At the end of the process the driver may be gone before the last blob: nothing is checked.
  void Free(void* memory) override {
    if (!memory) return;
    if (!has_pools_) {
      if (cudaFree(memory) != cudaSuccess) cudaGetLastError();
      return;
    }
    cudaStream_t stream = nullptr;
    int id = 0;
    if (stream_kind != DEFAULT && cudaGetDevice(&id) == cudaSuccess) {
      const auto& streams = OwnStreams::OfThread().of_gpu;
      const auto own = streams.find({id, stream_kind});
      if (own != streams.end()) stream = own->second;
    }
    if (cudaFreeAsync(memory, stream) != cudaSuccess) cudaGetLastError();
  }

  void* AllocateHost(size_t bytes) override {
    void* memory = nullptr;
    if (cudaMallocHost(&memory, bytes > 0 ? bytes : 1) == cudaSuccess) return memory;
    cudaGetLastError();
    return nullptr;
  }
  void FreeHost(void* memory) override {
    if (memory && cudaFreeHost(memory) != cudaSuccess) cudaGetLastError();
  }

  void CopyToDevice(void* to, const void* from, size_t bytes) override {
    Copy(to, from, bytes, cudaMemcpyHostToDevice);
    Synchronize();
  }
  void CopyToHost(void* to, const void* from, size_t bytes) override {
    Copy(to, from, bytes, cudaMemcpyDeviceToHost);
    Synchronize();
  }
  void CopyInDevice(void* to, const void* from, size_t bytes) override {
    Copy(to, from, bytes, cudaMemcpyDeviceToDevice);
  }
  void CopyAnywhere(void* to, const void* from, size_t bytes) override {
    Copy(to, from, bytes, cudaMemcpyDefault);
    Synchronize();
  }
  void Fill(void* memory, int value, size_t bytes) override {
    Check(cudaMemsetAsync(memory, value, bytes, Current()), "fill");
  }
  void Synchronize() override { Check(cudaStreamSynchronize(Current()), "kernel"); }

  void* Stream() override { return Current(); }
  void UseStream(StreamKind kind) override { stream_kind = kind; }

 private:
  cudaError_t TryAllocate(void** memory, size_t bytes) {
    bytes = bytes > 0 ? bytes : 1;
    return has_pools_ ? cudaMallocAsync(memory, bytes, Current()) : cudaMalloc(memory, bytes);
  }

  void Copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
    Check(cudaMemcpyAsync(to, from, bytes, kind, Current()), "copy");
  }

  cudaStream_t Current() {
    if (stream_kind == DEFAULT) return nullptr;
    cudaStream_t& stream = OwnStreams::OfThread().of_gpu[{Selected(), stream_kind}];
    const unsigned int flags = stream_kind == OWN ? cudaStreamDefault : cudaStreamNonBlocking;
    if (!stream) Check(cudaStreamCreateWithFlags(&stream, flags), "stream");
    return stream;
  }

  // That this build's kernels run there, said before anything is read or computed.
  void ExpectCode(int id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (has_code_[id]) return;
    cudaFuncAttributes attributes;
    const cudaError_t status =
        cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(&Nothing));
    const bool is_missing = status == cudaErrorNoKernelImageForDevice;
    if (is_missing || status == cudaErrorUnsupportedPtxVersion) {
      cudaGetLastError();
      int major = 0, minor = 0, driver = 0;
      Check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, id), "properties");
      Check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, id), "properties");
      Check(cudaDriverGetVersion(&driver), "properties");
      const std::string own = std::to_string(major) + std::to_string(minor);
      ENFORCE(!is_missing) << "GPU " << id << ": this build has no code for it; configure with "
                           << "-DCMAKE_CUDA_ARCHITECTURES=" << own;
      ENFORCE(false) << "GPU " << id << ": its driver, for CUDA " << Version(driver)
                     << ", does not compile what CUDA " << Version(CUDART_VERSION)
                     << " wrote; update it, or configure with -DCMAKE_CUDA_ARCHITECTURES=" << own;
    }
    Check(status, "kernels");
    has_code_[id] = true;
  }

  // The runtime's memory pool gives memory back to the system at every synchronisation unless it
  // is told to keep it, and would rather let one stream wait for another, whose freed memory it
  // takes, than have more.
  void Prepare(int id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!has_pools_ || is_prepared_[id]) return;
    uint64_t keep = UINT64_MAX;
    int let_streams_wait = 0;
    Check(cudaMemPoolSetAttribute(Pool(id), cudaMemPoolAttrReleaseThreshold, &keep), "memory pool");
    Check(cudaMemPoolSetAttribute(Pool(id), cudaMemPoolReuseAllowInternalDependencies,
                                  &let_streams_wait),
          "memory pool");
    is_prepared_[id] = true;
  }
  static cudaMemPool_t Pool(int id) {
    cudaMemPool_t pool;
    Check(cudaDeviceGetDefaultMemPool(&pool, id), "memory pool");
    return pool;
  }

  const int count_;
  bool has_pools_ = true;
  std::vector<bool> is_prepared_, has_code_;
  std::mutex mutex_;
};

}  // namespace

Device* CudaDevice(std::string* why_not) {
  int count = 0, driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess) cudaGetLastError();
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess && driver == 0) {
    *why_not = "there is no NVIDIA driver";
    return nullptr;
  }
  if (status == cudaErrorInsufficientDriver) {
    *why_not = "the NVIDIA driver is for CUDA " + Version(driver) + ", this build needs one for " +
               Version(CUDART_VERSION);
    return nullptr;
  }
  if (status != cudaSuccess) {
    *why_not = std::string("no NVIDIA GPU can be used: ") + cudaGetErrorString(status);
    return nullptr;
  }
  if (count == 0) {
    *why_not = "there is no NVIDIA GPU";
    return nullptr;
  }
  return new NvidiaDevice(count);
}

}  // namespace caffe

#endif  // METAPERTURB_CUDA

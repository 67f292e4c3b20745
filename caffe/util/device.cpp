#include "caffe/util/device.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "util/error.hpp"

namespace caffe {

namespace {

class EmulatedDevice : public Device {
 public:
  bool IsEmulated() const override { return true; }
  // Two, so that what chooses among several is tested.
  int Count() const override { return 2; }
  void Select(int id) override {
    ENFORCE(id >= 0 && id < Count())
        << "GPU " << id << ": there are " << Count() << " emulated ones, 0 to " << Count() - 1;
    selected_ = id;
  }
  int Selected() const override { return selected_; }
  std::string Describe() const override {
    return "Name: emulated on the CPU (METAPERTURB_GPU=emulated)";
  }
  size_t SharedMemory() const override { return 227 << 10; }
  Memory MemoryLeft() const override { return {size_t{1} << 30, size_t{1} << 30}; }
  void* Allocate(size_t bytes) override {
    void* memory = nullptr;
    // Not rounded up: a memory checker sees what is touched behind the end.
    const int status = posix_memalign(&memory, 256, bytes > 0 ? bytes : 1);
    ENFORCE(status == 0) << "out of memory: " << bytes << " bytes asked for";
    // Fresh memory of a GPU holds anything: what is read before it was written shows.
    std::memset(memory, 0xFF, bytes);
    return memory;
  }
  void Free(void* memory) override { std::free(memory); }
  void* AllocateHost(size_t) override { return nullptr; }
  void FreeHost(void*) override {}
  void CopyToDevice(void* to, const void* from, size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void CopyToHost(void* to, const void* from, size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void CopyInDevice(void* to, const void* from, size_t bytes) override {
    std::memmove(to, from, bytes);
  }
  void CopyAnywhere(void* to, const void* from, size_t bytes) override {
    std::memmove(to, from, bytes);
  }
  void Fill(void* memory, int value, size_t bytes) override { std::memset(memory, value, bytes); }
  void Synchronize() override {}
  // Its threads' work is done at once; an address tells their streams apart.
  void* Stream() override { return stream_ == DEFAULT ? nullptr : &stream_; }
  void UseStream(StreamKind kind) override { stream_ = kind; }

 private:
  static thread_local int selected_;
  static thread_local StreamKind stream_;
};

thread_local int EmulatedDevice::selected_ = 0;
thread_local Device::StreamKind EmulatedDevice::stream_ = Device::DEFAULT;

struct Choice {
  Device* device = nullptr;
  std::string why_not;
};

// Made once and never destroyed: blobs in static objects free their memory late.
const Choice& Chosen() {
  static const Choice* choice = [] {
    auto* made = new Choice;
    const char* wanted = std::getenv("METAPERTURB_GPU");
    if (!wanted || !*wanted) {
      made->device = CudaDevice(&made->why_not);
    } else if (std::string(wanted) == "emulated") {
#if defined(METAPERTURB_FOREIGN_HOST) && !defined(CPU_ONLY)
      made->why_not = "METAPERTURB_GPU=emulated: the arrays of this Caffe are in the GPU's memory";
#else
      made->device = new EmulatedDevice;
#endif
    } else {
      made->why_not = std::string("METAPERTURB_GPU=") + wanted + ": only 'emulated' is known";
    }
    return made;
  }();
  return *choice;
}

}  // namespace

bool Device::IsThere(std::string* why_not) {
  if (why_not) *why_not = Chosen().why_not;
  return Chosen().device != nullptr;
}

Device& Device::Get() {
  ENFORCE(Chosen().device) << "GPU mode: " << Chosen().why_not;
  return *Chosen().device;
}

std::vector<int> ParseGpuList(const std::string& list) {
  const int count = Device::Get().Count();
  std::vector<int> ids;
  if (list == "all") {
    for (int id = 0; id < count; ++id) ids.push_back(id);
    return ids;
  }
  std::istringstream stream(list + ",");
  for (std::string part; std::getline(stream, part, ',');) {
    const bool is_number = !part.empty() && part.size() < 6 &&
                           part.find_first_not_of("0123456789") == std::string::npos;
    ENFORCE(is_number) << "'" << part << "' is no number of a GPU";
    const int id = std::stoi(part);
    ENFORCE(id < count) << "GPU " << id << ": there "
                        << (count == 1 ? "is one GPU, 0"
                                       : "are " + std::to_string(count) + " GPUs, 0 to " +
                                             std::to_string(count - 1));
    ENFORCE(std::find(ids.begin(), ids.end(), id) == ids.end())
        << "GPU " << id << " is named twice";
    ids.push_back(id);
  }
  return ids;
}

#ifndef METAPERTURB_CUDA
Device* CudaDevice(std::string* why_not) {
  *why_not = "this build has no CUDA part";
  return nullptr;
}
#endif

}  // namespace caffe

// The emulated device: memory of the host, kernels on the CPU, and streams whose work is done as
// late as a GPU may do it.
#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "caffe/util/device.hpp"
#include "util/error.hpp"

namespace caffe {

namespace {

#ifdef METAPERTURB_FOREIGN_HOST
// Its kernels work on the CPU's arrays (layers/gpu_blobs.hpp), which the host reads as it likes.
const bool kAtOnce = true;
#else
const bool kAtOnce = false;
#endif
// A stream with more than this to do begins with it, as a GPU's queue is limited, too.
const size_t kMostWork = 10000;

/// The order of all work of the process, and the part of it that is not done yet. Work is done when
/// a thread waits for its stream: what reads a result without waiting finds what was there before.
class Streams {
 public:
  struct Stream {
    int gpu;
    Device::StreamKind kind;
    std::deque<std::pair<uint64_t, std::function<void()>>>
        work;  // each with its place in the order
  };

  void Add(Stream* stream, std::function<void()> work) {
    const std::lock_guard<std::mutex> lock(mutex_);
    stream->work.emplace_back(++last_, std::move(work));
    if (stream->work.size() > kMostWork) DoUpTo(last_, stream);
  }
  void Finish(Stream* stream) {
    const std::lock_guard<std::mutex> lock(mutex_);
    DoUpTo(last_, stream);
  }
  void FinishAll(int gpu) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (defaults_[gpu]) DoUpTo(last_, defaults_[gpu].get());
    for (Stream* stream : made_) {
      if (stream->gpu == gpu) DoUpTo(last_, stream);
    }
  }

  Stream* Default(int gpu) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<Stream>& stream = defaults_[gpu];
    if (!stream) stream.reset(new Stream{gpu, Device::DEFAULT, {}});
    return stream.get();
  }
  std::unique_ptr<Stream> Make(int gpu, Device::StreamKind kind) {
    std::unique_ptr<Stream> stream(new Stream{gpu, kind, {}});
    const std::lock_guard<std::mutex> lock(mutex_);
    made_.push_back(stream.get());
    return stream;
  }
  /// A stream whose thread ends: its work is done all the same.
  void End(Stream* stream) {
    const std::lock_guard<std::mutex> lock(mutex_);
    DoUpTo(last_, stream);
    made_.erase(std::remove(made_.begin(), made_.end(), stream), made_.end());
  }

  /// Never destroyed: blobs in static objects free their memory late.
  static Streams& Get() {
    static Streams* streams = new Streams;
    return *streams;
  }

 private:
  // A stream's work is done in order; what is in the default stream, besides, after all that was
  // asked for before in OWN ones of that GPU, and theirs after what was before in the default one.
  void DoUpTo(uint64_t last, Stream* stream) {
    while (!stream->work.empty() && stream->work.front().first <= last) {
      const uint64_t place = stream->work.front().first;
      if (stream->kind == Device::DEFAULT) {
        for (Stream* other : made_) {
          if (other->gpu == stream->gpu && other->kind == Device::OWN) DoUpTo(place - 1, other);
        }
      } else if (stream->kind == Device::OWN && defaults_[stream->gpu]) {
        DoUpTo(place - 1, defaults_[stream->gpu].get());
      }
      const std::function<void()> work = std::move(stream->work.front().second);
      stream->work.pop_front();
      work();
    }
  }

  std::mutex mutex_;
  uint64_t last_ = 0;
  std::map<int, std::unique_ptr<Stream>> defaults_;
  std::vector<Stream*> made_;  // all others
};

/// The calling thread's choice and the streams it has made.
struct OfThread {
  int gpu = 0;
  Device::StreamKind kind = Device::DEFAULT;
};
thread_local OfThread of_thread;

struct OwnStreamsOfThread {
  std::map<std::pair<int, Device::StreamKind>, std::unique_ptr<Streams::Stream>> made;
  ~OwnStreamsOfThread() {
    for (const auto& each : made) Streams::Get().End(each.second.get());
  }
};

Streams::Stream* Current() {
  if (of_thread.kind == Device::DEFAULT) return Streams::Get().Default(of_thread.gpu);
  static thread_local OwnStreamsOfThread streams;
  auto& stream = streams.made[{of_thread.gpu, of_thread.kind}];
  if (!stream) stream = Streams::Get().Make(of_thread.gpu, of_thread.kind);
  return stream.get();
}

class Emulated : public Device {
 public:
  bool IsEmulated() const override { return true; }
  // Two, so that what chooses among several is tested.
  int Count() const override { return 2; }
  void Select(int id) override {
    ENFORCE(id >= 0 && id < Count())
        << "GPU " << id << ": there are " << Count() << " emulated ones, 0 to " << Count() - 1;
    of_thread.gpu = id;
  }
  int Selected() const override { return of_thread.gpu; }
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
    return std::memset(memory, 0xFF, bytes);
  }
  void Free(void* memory) override {
    if (!memory) return;
    Do([memory] {
      // What is read after it was freed shows, too.
      std::memset(memory, 0xFF, malloc_usable_size(memory));
      std::free(memory);
    });
  }
  void ReleaseFreed() override { Streams::Get().FinishAll(of_thread.gpu); }
  void* AllocateHost(size_t) override { return nullptr; }
  void FreeHost(void*) override {}

  void CopyToDevice(void* to, const void* from, size_t bytes) override {
    CopyAnywhere(to, from, bytes);
  }
  void CopyToHost(void* to, const void* from, size_t bytes) override {
    CopyAnywhere(to, from, bytes);
  }
  void CopyInDevice(void* to, const void* from, size_t bytes) override {
    if (bytes > 0) Do([=] { std::memmove(to, from, bytes); });
  }
  void CopyAnywhere(void* to, const void* from, size_t bytes) override {
    CopyInDevice(to, from, bytes);
    Synchronize();
  }
  void Fill(void* memory, int value, size_t bytes) override {
    Do([=] { std::memset(memory, value, bytes); });
  }
  void Synchronize() override { Streams::Get().Finish(Current()); }
  void Do(std::function<void()> work) override {
    if (kAtOnce) return work();
    Streams::Get().Add(Current(), std::move(work));
  }
  // An address tells threads' streams apart.
  void* Stream() override { return of_thread.kind == DEFAULT ? nullptr : Current(); }
  void UseStream(StreamKind kind) override { of_thread.kind = kind; }
};

}  // namespace

Device* EmulatedDevice() {
  return new Emulated;
}

}  // namespace caffe

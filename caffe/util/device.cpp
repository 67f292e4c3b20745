#include "caffe/util/device.hpp"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <sstream>

#include "util/error.hpp"

namespace caffe {

namespace {

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
      made->device = EmulatedDevice();
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

void Device::Do(std::function<void()>) {
  THROW_ERROR << "a GPU was given work of the emulated device";
}

std::vector<int> ParseGpuList(const std::string& list) {
  std::vector<int> ids;
  if (list == "all") {
    ids.resize(Device::Get().Count());
    std::iota(ids.begin(), ids.end(), 0);
    return ids;
  }
  std::istringstream stream(list + ",");
  for (std::string part; std::getline(stream, part, ',');) {
    const bool is_number = !part.empty() && part.size() < 6 &&
                           part.find_first_not_of("0123456789") == std::string::npos;
    ENFORCE(is_number) << "'" << part << "' is no number of a GPU";
    const int id = std::stoi(part);
    ENFORCE(std::find(ids.begin(), ids.end(), id) == ids.end())
        << "GPU " << id << " is named twice";
    ids.push_back(id);
  }
  // A mistake in the list is named as such where there is no GPU, too.
  const int count = Device::Get().Count();
  for (const int id : ids) {
    ENFORCE(id < count) << "GPU " << id << ": there "
                        << (count == 1 ? "is one GPU, 0"
                                       : "are " + std::to_string(count) + " GPUs, 0 to " +
                                             std::to_string(count - 1));
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

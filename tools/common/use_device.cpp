#include "tools/common/use_device.hpp"

#include "caffe/common.hpp"
#include "caffe/util/device.hpp"

DEFINE_string(
    gpu, "",
    "GPU to run on, by its number, or 'all'; without it the CPU. Several (0,1): caffe train, "
    "with batch_size images on each, and metaperturb train under mpirun, one per process");

namespace caffe {

namespace {

// Calls use(the GPUs that the flag lists); errors name the flag.
template <class Use>
void WithListed(const Use& use) {
  try {
    use(ParseGpuList(FLAGS_gpu));
  } catch (const Error& e) {
    throw Error("--gpu=" + FLAGS_gpu + ": " + e.what());
  }
}

// Sets CPU mode, or calls use(the GPUs that the flag lists).
template <class Use>
void WithGpus(const Use& use) {
  if (FLAGS_gpu.empty()) {
    LOG(INFO) << "Use CPU.";
    Caffe::set_mode(Caffe::CPU);
  } else {
    WithListed(use);
  }
}

void UseGpu(int id) {
  Caffe::SetDevice(id);
  Caffe::set_mode(Caffe::GPU);
}

}  // namespace

vector<int> GpusToQuery() {
  vector<int> ids;
  if (FLAGS_gpu.empty()) return Device::IsThere() ? ParseGpuList("all") : ids;
  WithListed([&ids](const vector<int>& listed) { ids = listed; });
  return ids;
}

void UseDevice(int process, int processes) {
  WithGpus([&](const vector<int>& ids) {
    const int count = static_cast<int>(ids.size()), id = ids[process % count];
    ENFORCE(count <= processes) << "names " << count << " GPUs; " << processes
                                << " process(es) here use one each";
    LOG(INFO) << "Using GPU " << id;
    UseGpu(id);
  });
}

vector<int> UseDevices() {
  vector<int> used;
  WithGpus([&](const vector<int>& ids) {
    string list;
    for (const int id : ids) list += (list.empty() ? "" : ", ") + std::to_string(id);
    LOG(INFO) << (ids.size() > 1 ? "Using GPUs " : "Using GPU ") << list;
    UseGpu(ids[0]);
    used = ids;
  });
  return used;
}

}  // namespace caffe

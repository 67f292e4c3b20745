#include "tools/common/use_device.hpp"

#include "caffe/common.hpp"
#include "caffe/util/device.hpp"

DEFINE_string(gpu, "",
              "GPU to run on, by its number, or 'all' where there is one; without it the CPU");

namespace caffe {

void UseDevice() {
  if (FLAGS_gpu.empty()) {
    LOG(INFO) << "Use CPU.";
    Caffe::set_mode(Caffe::CPU);
    return;
  }
  try {
    const vector<int> ids = ParseGpuList(FLAGS_gpu);
    ENFORCE(ids.size() == 1) << "names " << ids.size()
                             << " GPUs; running on several at once is not supported";
    LOG(INFO) << "Using GPU " << ids[0];
    Caffe::SetDevice(ids[0]);
    Caffe::set_mode(Caffe::GPU);
  } catch (const Error& e) {
    throw Error("--gpu=" + FLAGS_gpu + ": " + e.what());
  }
}

}  // namespace caffe

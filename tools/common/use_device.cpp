#include "tools/common/use_device.hpp"

#include "caffe/common.hpp"
#include "caffe/util/device.hpp"

DEFINE_string(gpu, "",
              "GPU to run on, by its number, or 'all'; without it the CPU. Several (0,1) where "
              "mpirun starts as many processes of metaperturb train");

namespace caffe {

void UseDevice(int process, int processes) {
  if (FLAGS_gpu.empty()) {
    LOG(INFO) << "Use CPU.";
    Caffe::set_mode(Caffe::CPU);
    return;
  }
  try {
    const vector<int> ids = ParseGpuList(FLAGS_gpu);
    const int count = static_cast<int>(ids.size()), id = ids[process % count];
    ENFORCE(count <= processes) << "names " << count << " GPUs; " << processes
                                << " process(es) here use one each";
    LOG(INFO) << "Using GPU " << id;
    Caffe::SetDevice(id);
    Caffe::set_mode(Caffe::GPU);
  } catch (const Error& e) {
    throw Error("--gpu=" + FLAGS_gpu + ": " + e.what());
  }
}

}  // namespace caffe

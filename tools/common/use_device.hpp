#ifndef METAPERTURB_TOOLS_COMMON_USE_DEVICE_HPP_
#define METAPERTURB_TOOLS_COMMON_USE_DEVICE_HPP_

#include <gflags/gflags.h>

#include <vector>

DECLARE_string(gpu);

namespace caffe {

/// Sets the mode, and the calling thread's GPU, to what --gpu names: a number, numbers with commas
/// between them, or "all"; without the flag to the CPU. A process uses one GPU: of the `processes`
/// of a run that are on this machine, number `process` has the GPU at place `process` of the list,
/// which begins anew where it is shorter. Throws Error, beginning with the flag, where there is no
/// such GPU, and where a GPU would have no process.
void UseDevice(int process = 0, int processes = 1);

/// The same for a process that uses several GPUs: it selects the first of the list, and returns the
/// list; without the flag an empty one.
std::vector<int> UseDevices();

/// The GPUs that --gpu names, with the same errors; without the flag all that are there, maybe
/// none.
std::vector<int> GpusToQuery();

}  // namespace caffe

#endif  // METAPERTURB_TOOLS_COMMON_USE_DEVICE_HPP_

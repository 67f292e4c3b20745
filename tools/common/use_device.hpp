#ifndef METAPERTURB_TOOLS_COMMON_USE_DEVICE_HPP_
#define METAPERTURB_TOOLS_COMMON_USE_DEVICE_HPP_

#include <gflags/gflags.h>

DECLARE_string(gpu);

namespace caffe {

/// Sets the mode, and the calling thread's GPU, to what --gpu names: a number, or "all" where there
/// is one; without the flag to the CPU. Throws Error, beginning with the flag, where there is no
/// such GPU, and where several are named.
void UseDevice();

}  // namespace caffe

#endif  // METAPERTURB_TOOLS_COMMON_USE_DEVICE_HPP_

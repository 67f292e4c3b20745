#ifndef METAPERTURB_UTIL_THREADS_HPP_
#define METAPERTURB_UTIL_THREADS_HPP_

#include <string>

namespace caffe {

/// CPUs that this process may use: its affinity mask, and not more than its control group's quota.
int AvailableCpus();

/// The numbers of the CPUs in its affinity mask, each with a space behind it.
std::string CpuList();

/// Lets the calling thread run on any CPU of the process. A new thread inherits its creator's CPU,
/// which after ConfigureThreads is a single one: for threads that work beside OpenMP's.
void UnbindThread();

/// Binds the calling thread to one CPU of the process, the one with this number among them, counted
/// from 0; beyond their count it may run on any.
void BindThread(int number);

/// Makes OpenMP and BLAS behave on a shared machine, where threads that spin for each other on one
/// core cost tenfold: as many threads as AvailableCpus(), bound where `bind`, and asleep while they
/// wait. Variables that the user has set stay. As libgomp reads its environment when it is loaded,
/// the program starts itself anew, once. To be called first in main.
void ConfigureThreads(char** argv, bool bind = true);

}  // namespace caffe

#endif  // METAPERTURB_UTIL_THREADS_HPP_

#ifndef METAPERTURB_TOOLS_METAPERTURB_LAUNCH_HPP_
#define METAPERTURB_TOOLS_METAPERTURB_LAUNCH_HPP_

#include <memory>

#include "solvers/process_group.hpp"

/// The processes that were started together with this one by mpirun (or srun, ...), connected by
/// MPI; a group of this one alone where it was started by itself. To be called once; the group ends
/// MPI when it is destroyed. An Error where a launcher is at work and this build has no MPI.
std::unique_ptr<caffe::ProcessGroup> JoinGroup();

/// Ends this process at once, and with it the others of the group.
[[noreturn]] void AbortGroup();

/// Which of the group's processes on this machine this one is, from 0 on, and their number.
/// Collective.
struct PlaceOnMachine {
  int process, processes;
};
PlaceOnMachine FindPlace(caffe::ProcessGroup* group);

/// The CPUs that this process should use: those it may run on, divided by the number of processes
/// of the group that share them. Collective. `exclusive` becomes whether it shares none and may use
/// each of them fully.
int CpuShare(caffe::ProcessGroup* group, bool* exclusive);

#endif  // METAPERTURB_TOOLS_METAPERTURB_LAUNCH_HPP_

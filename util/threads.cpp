#include "util/threads.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace caffe {

namespace {

// How the first of two starts tells the second which CPUs it had, as a list of their numbers: the
// OpenMP library binds the main thread to one before main begins.
const char kCpuList[] = "METAPERTURB_CPUS";

using Cpus = std::vector<int>;  // their numbers, ascending; empty: not known

// A set of CPUs for the system's calls, with room for `room` of them.
class CpuMask {
 public:
  explicit CpuMask(int room) : size_(CPU_ALLOC_SIZE(room)), set_(CPU_ALLOC(room)) {
    if (set_) CPU_ZERO_S(size_, set_);
  }
  ~CpuMask() { CPU_FREE(set_); }
  CpuMask(const CpuMask&) = delete;
  CpuMask& operator=(const CpuMask&) = delete;

  bool Get() { return set_ && sched_getaffinity(0, size_, set_) == 0; }
  void Set() const {
    if (set_) sched_setaffinity(0, size_, set_);
  }
  void Add(int cpu) { CPU_SET_S(cpu, size_, set_); }
  bool Has(int cpu) const { return CPU_ISSET_S(cpu, size_, set_); }

 private:
  size_t size_;
  cpu_set_t* set_;
};

Cpus CurrentCpus() {
  Cpus cpus;
  // A kernel that was built for more CPUs than there is room for refuses the call.
  for (int room = CPU_SETSIZE; room <= 1 << 16; room *= 2) {
    CpuMask mask(room);
    if (!mask.Get()) continue;
    for (int cpu = 0; cpu < room; ++cpu) {
      if (mask.Has(cpu)) cpus.push_back(cpu);
    }
    break;
  }
  return cpus;
}

Cpus FindProcessCpus() {
  const char* list = std::getenv(kCpuList);
  if (!list) return CurrentCpus();
  std::istringstream stream(list);
  return Cpus(std::istream_iterator<int>(stream), {});
}

const Cpus& ProcessCpus() {
  static const Cpus cpus = FindProcessCpus();
  return cpus;
}

void BindTo(const Cpus& cpus) {
  if (cpus.empty()) return;
  CpuMask mask(std::max(CPU_SETSIZE, cpus.back() + 1));
  for (const int cpu : cpus) mask.Add(cpu);
  mask.Set();
}

int AffinityCpus() {
  const Cpus& cpus = ProcessCpus();
  const long all = cpus.empty() ? sysconf(_SC_NPROCESSORS_ONLN) : static_cast<long>(cpus.size());
  return static_cast<int>(std::max(1L, all));
}

// ceil(quota / period) CPUs; INT_MAX where the files do not give a limit.
int QuotaOf(double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return INT_MAX;
  return std::max(1, static_cast<int>((quota + period - 1) / period));
}

// The least limit on the path from this process's control group to the root (version 2).
int QuotaV2() {
  std::ifstream groups("/proc/self/cgroup");
  std::string line, path;
  while (std::getline(groups, line)) {
    if (line.compare(0, 3, "0::") == 0) path = line.substr(3);
  }
  int cpus = INT_MAX;
  while (true) {
    std::ifstream file("/sys/fs/cgroup" + (path == "/" ? "" : path) + "/cpu.max");
    std::string quota;
    double period = 0;
    if (file >> quota >> period && quota != "max") {
      cpus = std::min(cpus, QuotaOf(std::atof(quota.c_str()), period));
    }
    if (path.empty() || path == "/") return cpus;
    path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  }
}

int QuotaV1() {
  double quota = 0, period = 0;
  std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") >> quota;
  std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_period_us") >> period;
  return QuotaOf(quota, period);
}

}  // namespace

int AvailableCpus() {
  return std::min({AffinityCpus(), QuotaV2(), QuotaV1()});
}

std::string CpuList() {
  std::string list;
  for (const int cpu : ProcessCpus()) list += std::to_string(cpu) + " ";
  return list;
}

void UnbindThread() {
  BindTo(ProcessCpus());
}

void BindThread(int number) {
  const Cpus& all = ProcessCpus();
  BindTo(number < static_cast<int>(all.size()) ? Cpus{all[number]} : all);
}

void ConfigureThreads(char** argv, bool bind) {
  ProcessCpus();  // before the variable goes
  if (std::getenv(kCpuList)) {
    unsetenv(kCpuList);  // programs started from here find out for themselves
    return;
  }
  setenv("OMP_NUM_THREADS", std::to_string(AvailableCpus()).c_str(), 0);
  // With fewer threads than CPUs, two programs would bind theirs to the same few.
  const bool all = std::atoi(std::getenv("OMP_NUM_THREADS")) >= AffinityCpus();
  setenv("OMP_PROC_BIND", all && bind ? "true" : "false", 0);
  setenv("OMP_WAIT_POLICY", "passive", 0);
  setenv("GOMP_SPINCOUNT", "1000", 0);         // some 20 us, then sleep
  setenv("OPENBLAS_THREAD_TIMEOUT", "14", 0);  // 2^14 cycles, then sleep
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) return;
  path[length] = '\0';
  setenv(kCpuList, CpuList().c_str(), 1);
  execv(path, argv);
  unsetenv(kCpuList);  // could not be started anew: go on with what there is
}

}  // namespace caffe

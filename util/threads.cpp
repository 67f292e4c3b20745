#include "util/threads.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace caffe {

namespace {

// How the first of two starts tells the second which CPUs it had, as a list of their numbers: the
// OpenMP library binds the main thread to one before main begins.
const char kCpuList[] = "METAPERTURB_CPUS";

cpu_set_t CurrentCpus() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  if (sched_getaffinity(0, sizeof cpus, &cpus) != 0) CPU_SET(0, &cpus);
  return cpus;
}

cpu_set_t FindProcessCpus() {
  const char* list = std::getenv(kCpuList);
  if (!list) return CurrentCpus();
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  std::istringstream stream(list);
  for (int cpu; stream >> cpu;) CPU_SET(cpu, &cpus);
  return cpus;
}

const cpu_set_t& ProcessCpus() {
  static const cpu_set_t cpus = FindProcessCpus();
  return cpus;
}

int AffinityCpus() {
  return std::max(1, CPU_COUNT(&ProcessCpus()));
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
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &ProcessCpus())) list += std::to_string(cpu) + " ";
  }
  return list;
}

void UnbindThread() {
  sched_setaffinity(0, sizeof(cpu_set_t), &ProcessCpus());
}

void BindThread(int number) {
  const cpu_set_t& all = ProcessCpus();
  int seen = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &all) || seen++ < number) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
  UnbindThread();
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

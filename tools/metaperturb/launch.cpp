#include "tools/metaperturb/launch.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <set>
#include <sstream>
#include <thread>

#include "util/error.hpp"
#include "util/threads.hpp"

#ifdef METAPERTURB_MPI
#include <mpi.h>
#endif

namespace {

using caffe::ProcessGroup;
using std::string;
using std::vector;

// What Open MPI, MPICH and those who follow them, and PMIx set for the processes they start.
bool IsLaunched() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK"}) {
    if (std::getenv(name)) return true;
  }
  return false;
}

#ifdef METAPERTURB_MPI

void Check(int status, const char* what) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(status, text, &length);
  THROW_ERROR << what << ": " << string(text, length);
}

// Other processes may compute on this CPU, and a task can take minutes longer than another: looks
// for some 50 us, then sleeps between looks.
void Wait(MPI_Request* request, const char* what) {
  typedef std::chrono::steady_clock Clock;
  const Clock::time_point start = Clock::now();
  auto pause = std::chrono::microseconds(20);
  for (int done = 0;;) {
    Check(MPI_Test(request, &done, MPI_STATUS_IGNORE), what);
    if (done) return;
    if (Clock::now() - start < std::chrono::microseconds(50)) continue;
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, std::chrono::microseconds(500));
  }
}

class MpiGroup : public ProcessGroup {
 public:
  MpiGroup() {
    int provided = 0;
    Check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
  }
  ~MpiGroup() override { MPI_Finalize(); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  vector<string> AllGather(const string& mine) override {
    vector<int> counts(size_), starts(size_, 0);
    const int count = static_cast<int>(mine.size());
    MPI_Request request;
    Check(MPI_Iallgather(&count, 1, MPI_INT, counts.data(), 1, MPI_INT, MPI_COMM_WORLD, &request),
          "MPI_Iallgather");
    Wait(&request, "MPI_Iallgather");
    for (int r = 1; r < size_; ++r) starts[r] = starts[r - 1] + counts[r - 1];
    string all(starts.back() + counts.back(), '\0');
    Check(MPI_Iallgatherv(mine.data(), count, MPI_CHAR, &all[0], counts.data(), starts.data(),
                          MPI_CHAR, MPI_COMM_WORLD, &request),
          "MPI_Iallgatherv");
    Wait(&request, "MPI_Iallgatherv");
    vector<string> result;
    for (int r = 0; r < size_; ++r) result.push_back(all.substr(starts[r], counts[r]));
    return result;
  }

  vector<double> AllGather(const vector<double>& mine, const vector<int>& counts) override {
    vector<int> starts(size_, 0);
    for (int r = 1; r < size_; ++r) starts[r] = starts[r - 1] + counts[r - 1];
    vector<double> all(starts.back() + counts.back());
    MPI_Request request;
    Check(MPI_Iallgatherv(mine.data(), counts[rank_], MPI_DOUBLE, all.data(), counts.data(),
                          starts.data(), MPI_DOUBLE, MPI_COMM_WORLD, &request),
          "MPI_Iallgatherv");
    Wait(&request, "MPI_Iallgatherv");
    return all;
  }

  void Send(const string& text, int to) override {
    uint64_t size = text.size();
    MPI_Request request;
    Check(MPI_Isend(&size, 1, MPI_UINT64_T, to, 0, MPI_COMM_WORLD, &request), "MPI_Isend");
    Wait(&request, "MPI_Isend");
    for (size_t at = 0; at < text.size(); at += kPiece) {
      const int count = static_cast<int>(std::min(kPiece, text.size() - at));
      Check(MPI_Isend(text.data() + at, count, MPI_CHAR, to, 1, MPI_COMM_WORLD, &request),
            "MPI_Isend");
      Wait(&request, "MPI_Isend");
    }
  }

  string Receive(int from) override {
    uint64_t size = 0;
    MPI_Request request;
    Check(MPI_Irecv(&size, 1, MPI_UINT64_T, from, 0, MPI_COMM_WORLD, &request), "MPI_Irecv");
    Wait(&request, "MPI_Irecv");
    string text(size, '\0');
    for (size_t at = 0; at < text.size(); at += kPiece) {
      const int count = static_cast<int>(std::min(kPiece, text.size() - at));
      Check(MPI_Irecv(&text[at], count, MPI_CHAR, from, 1, MPI_COMM_WORLD, &request), "MPI_Irecv");
      Wait(&request, "MPI_Irecv");
    }
    return text;
  }

 private:
  static constexpr size_t kPiece = size_t{1} << 30;  // MPI counts in int

  int rank_ = 0, size_ = 1;
};

#endif

string HostName() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return host;
}

}  // namespace

std::unique_ptr<ProcessGroup> JoinGroup() {
  if (!IsLaunched()) return std::unique_ptr<ProcessGroup>(new ProcessGroup);
#ifdef METAPERTURB_MPI
  return std::unique_ptr<ProcessGroup>(new MpiGroup);
#else
  THROW_ERROR << "started by an MPI launcher, but this build has no MPI: install libopenmpi-dev "
                 "and configure the build again";
#endif
}

void AbortGroup() {
#ifdef METAPERTURB_MPI
  MPI_Abort(MPI_COMM_WORLD, 1);
#endif
  std::_Exit(1);
}

PlaceOnMachine FindPlace(ProcessGroup* group) {
  const string here = HostName();
  const vector<string> all = group->AllGather(here);
  const auto own = all.begin() + group->rank();
  return {static_cast<int>(std::count(all.begin(), own, here)),
          static_cast<int>(std::count(all.begin(), all.end(), here))};
}

int CpuShare(ProcessGroup* group, bool* exclusive) {
  const vector<string> all = group->AllGather(HostName() + " " + caffe::CpuList());
  const auto cpus_of = [](const string& text, string* where) {
    std::istringstream stream(text);
    stream >> *where;
    std::set<int> cpus;
    for (int cpu; stream >> cpu;) cpus.insert(cpu);
    return cpus;
  };
  string here, there;
  const std::set<int> mine = cpus_of(all[group->rank()], &here);
  int sharers = 0;
  for (const string& text : all) {
    const std::set<int> cpus = cpus_of(text, &there);
    const auto common = [&](int cpu) { return mine.count(cpu) > 0; };
    sharers += here == there && std::any_of(cpus.begin(), cpus.end(), common);
  }
  const int available = caffe::AvailableCpus();
  *exclusive = sharers <= 1 && available == static_cast<int>(mine.size());
  return std::max(1, available / std::max(1, sharers));
}

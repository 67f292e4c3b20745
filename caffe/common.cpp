#include "caffe/common.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <random>

#include "caffe/util/device.hpp"
#include "caffe/util/rng.hpp"
#include "util/flag_help.hpp"

namespace caffe {

namespace {

uint64_t SeedFromSystem() {
  std::random_device device;
  // Fits SolverParameter.random_seed and prints short.
  return device() & 0x7FFFFFFFu;
}

[[noreturn]] void ExitOnFailedCheck() {
  std::_Exit(1);
}

// A file that is opened where one of these is closed would get its number, and what is printed.
void OpenStandardStreams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) < 0) open("/dev/null", O_RDWR);  // takes the lowest free number
  }
}

}  // namespace

Caffe::Caffe() = default;
Caffe::~Caffe() = default;

Caffe& Caffe::Get() {
  static thread_local Caffe instance;
  return instance;
}

void GlobalInit(int* pargc, char*** pargv) {
  OpenStandardStreams();
  FLAGS_logtostderr = true;
  FLAGS_log_year_in_prefix = false;  // Caffe's log lines, as parse_log.py reads them
  if (IsHelpAsked(*pargc, *pargv)) {
    std::cout << gflags::ProgramUsage() << "\n\nFlags with their defaults (--helpfull: all):\n";
    const vector<string> own = OwnFlags();
    PrintFlags(std::cout, {own.begin(), own.end()});
    std::exit(0);
  }
  gflags::ParseCommandLineFlags(pargc, pargv, true);
  if (!FLAGS_log_dir.empty()) {
    ENFORCE(std::filesystem::is_directory(FLAGS_log_dir))
        << "--log_dir=" << FLAGS_log_dir << ": is no folder";
    FLAGS_logtostderr = false;  // files, and the terminal, too
    FLAGS_alsologtostderr = true;
  }
  signal(SIGXFSZ, SIG_IGN);  // a file beyond its limit is an error of the write
  google::InitGoogleLogging(*(pargv)[0]);
  google::InstallFailureFunction(&ExitOnFailedCheck);
}

void Caffe::set_random_seed(const unsigned int seed) {
  Caffe& caffe = Get();
  caffe.random_seed_ = seed;
  caffe.seeded_ = true;
  caffe.random_generator_.reset(new RNG(seed));
}

uint64_t Caffe::random_seed() {
  Caffe& caffe = Get();
  if (!caffe.seeded_) {
    caffe.random_seed_ = SeedFromSystem();
    caffe.seeded_ = true;
  }
  return caffe.random_seed_;
}

Caffe::RNG& Caffe::rng_stream() {
  Caffe& caffe = Get();
  if (!caffe.random_generator_) {
    caffe.random_generator_.reset(new RNG(static_cast<unsigned int>(random_seed())));
  }
  return *caffe.random_generator_;
}

void Caffe::set_mode(Brew mode) {
  if (mode == GPU) Device::Get();  // throws, saying why, where there is none
  Get().mode_ = mode;
}

void Caffe::SetDevice(int device_id) {
  Device::Get().Select(device_id);
}

void Caffe::DeviceQuery() {
  std::istringstream lines(Device::Get().Describe());
  for (string line; std::getline(lines, line);) LOG(INFO) << line;
}

bool Caffe::CheckDevice(int device_id) {
  return Device::IsThere() && device_id >= 0 && device_id < Device::Get().Count();
}

int Caffe::FindDevice(int start_id) {
  return CheckDevice(start_id) ? start_id : -1;
}

class Caffe::RNG::Generator {
 public:
  explicit Generator(uint64_t seed) : rng(PhiloxKey(seed, 0)) {}
  rng_t rng;
};

Caffe::RNG::RNG() : generator_(new Generator(SeedFromSystem())) {}
Caffe::RNG::RNG(unsigned int seed) : generator_(new Generator(seed)) {}
Caffe::RNG::RNG(const RNG& other) = default;
Caffe::RNG& Caffe::RNG::operator=(const RNG& other) = default;

void* Caffe::RNG::generator() {
  return &generator_->rng;
}

}  // namespace caffe

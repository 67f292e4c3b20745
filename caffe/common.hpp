#ifndef CAFFE_COMMON_HPP_
#define CAFFE_COMMON_HPP_

#include <gflags/gflags.h>
#include <glog/logging.h>

#include <boost/shared_ptr.hpp>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "caffe/util/device_alternate.hpp"
#include "util/error.hpp"

#define STRINGIFY(m) #m
#define AS_STRING(m) STRINGIFY(m)

#define DISABLE_COPY_AND_ASSIGN(classname) \
 private:                                  \
  classname(const classname&) = delete;    \
  classname& operator=(const classname&) = delete

/// Instantiates a class template for both number types.
#define INSTANTIATE_CLASS(classname) \
  template class classname<float>;   \
  template class classname<double>

/// In a layer's .cu file: instantiates its GPU half for both number types.
#define INSTANTIATE_LAYER_GPU_FORWARD(classname)                                  \
  template void classname<float>::Forward_gpu(const std::vector<Blob<float>*>&,   \
                                              const std::vector<Blob<float>*>&);  \
  template void classname<double>::Forward_gpu(const std::vector<Blob<double>*>&, \
                                               const std::vector<Blob<double>*>&)
#define INSTANTIATE_LAYER_GPU_BACKWARD(classname)                                  \
  template void classname<float>::Backward_gpu(const std::vector<Blob<float>*>&,   \
                                               const std::vector<bool>&,           \
                                               const std::vector<Blob<float>*>&);  \
  template void classname<double>::Backward_gpu(const std::vector<Blob<double>*>&, \
                                                const std::vector<bool>&,          \
                                                const std::vector<Blob<double>*>&)
#define INSTANTIATE_LAYER_GPU_FUNCS(classname) \
  INSTANTIATE_LAYER_GPU_FORWARD(classname);    \
  INSTANTIATE_LAYER_GPU_BACKWARD(classname)

#define NOT_IMPLEMENTED LOG(FATAL) << __func__ << " has no implementation here"

namespace cv {
class Mat;
}

namespace caffe {

using boost::shared_ptr;

using std::fstream;
using std::ios;
using std::isinf;
using std::isnan;
using std::iterator;
using std::make_pair;
using std::map;
using std::ostringstream;
using std::pair;
using std::set;
using std::string;
using std::stringstream;
using std::vector;

/// Sets up glog and gflags for a program: parses the flags, logs to stderr, and makes a failed
/// CHECK end with its one line and exit code 1 instead of a stack trace and a core dump. --help
/// prints gflags' usage message and the program's own flags, and ends the program.
void GlobalInit(int* pargc, char*** pargv);

/// Process-wide settings, held per thread: mode, device and the random number stream.
class Caffe {
 public:
  ~Caffe();

  static Caffe& Get();

  enum Brew { CPU, GPU };

  /// The stream that caffe_rng_* and the fillers draw from: Philox (util/philox.hpp).
  class RNG {
   public:
    RNG();
    explicit RNG(unsigned int seed);
    RNG(const RNG&);
    RNG& operator=(const RNG&);
    /// Points to a caffe::rng_t.
    void* generator();

   private:
    class Generator;
    shared_ptr<Generator> generator_;
  };

  static RNG& rng_stream();

  static Brew mode() { return Get().mode_; }
  /// GPU throws Error, saying why, where there is none (util/device.hpp).
  static void set_mode(Brew mode);
  /// Seeds rng_stream(), and the layers that are created from now on in this thread.
  static void set_random_seed(unsigned int seed);
  /// The seed in force; drawn from the system where set_random_seed was not called.
  static uint64_t random_seed();
  /// The calling thread's GPU; throws Error where there is no such one.
  static void SetDevice(int device_id);
  /// Logs what the thread's GPU is.
  static void DeviceQuery();
  static bool CheckDevice(int device_id);
  /// The first GPU from start_id on; -1: none.
  static int FindDevice(int start_id = 0);

  static int solver_count() { return Get().solver_count_; }
  static void set_solver_count(int val) { Get().solver_count_ = val; }
  static int solver_rank() { return Get().solver_rank_; }
  static void set_solver_rank(int val) { Get().solver_rank_ = val; }
  static bool multiprocess() { return Get().multiprocess_; }
  static void set_multiprocess(bool val) { Get().multiprocess_ = val; }
  static bool root_solver() { return Get().solver_rank_ == 0; }

 protected:
  shared_ptr<RNG> random_generator_;
  uint64_t random_seed_ = 0;
  bool seeded_ = false;
  Brew mode_ = CPU;
  int solver_count_ = 1;
  int solver_rank_ = 0;
  bool multiprocess_ = false;

 private:
  Caffe();

  DISABLE_COPY_AND_ASSIGN(Caffe);
};

}  // namespace caffe

#endif  // CAFFE_COMMON_HPP_

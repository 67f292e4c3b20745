#include "caffe/internal_thread.hpp"

#include "caffe/util/device.hpp"
#include "caffe/util/rng.hpp"
#include "util/threads.hpp"

namespace caffe {

InternalThread::~InternalThread() {
  StopInternalThread();
}

void InternalThread::StartInternalThread() {
  CHECK(!is_started()) << "the thread runs already";
  stop_ = false;
  start_error_ = nullptr;
  running_ = true;
  // Drawing the seed from this thread's stream would shift the numbers that come after it.
  const unsigned int seed = static_cast<unsigned int>(PhiloxKey(Caffe::random_seed(), 2));
  const Caffe::Brew mode = Caffe::mode();
  const int device = mode == Caffe::GPU ? Device::Get().Selected() : 0;
  const int count = Caffe::solver_count(), rank = Caffe::solver_rank();
  const bool multiprocess = Caffe::multiprocess();
  thread_ = std::thread([=] {
    UnbindThread();
    try {
      if (mode == Caffe::GPU) Caffe::SetDevice(device);
      Caffe::set_mode(mode);
    } catch (...) {
      start_error_ = std::current_exception();
    }
    Caffe::set_random_seed(seed);
    Caffe::set_solver_count(count);
    Caffe::set_solver_rank(rank);
    Caffe::set_multiprocess(multiprocess);
    InternalThreadEntry();
    running_ = false;
  });
}

void InternalThread::StopInternalThread() {
  if (!is_started()) return;
  stop_ = true;
  WakeInternalThread();
  thread_.join();
}

}  // namespace caffe

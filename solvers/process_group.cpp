#include "solvers/process_group.hpp"

#include <exception>

#include "util/error.hpp"

namespace caffe {

std::vector<double> ProcessGroup::AllGather(const std::vector<double>& mine,
                                            const std::vector<int>&) {
  return mine;
}

void ProcessGroup::Send(const std::string&, int to) {
  throw Error("there is no process " + std::to_string(to) + " to send to");
}

std::string ProcessGroup::Receive(int from) {
  throw Error("there is no process " + std::to_string(from) + " to receive from");
}

void ProcessGroup::Together(const std::function<void()>& work) {
  std::string message;
  std::exception_ptr own;
  try {
    work();
  } catch (const std::exception& e) {
    own = std::current_exception();
    message = std::string(".") + e.what();  // not empty, whatever it says
  }
  for (const std::string& failure : AllGather(message)) {
    if (failure.empty()) continue;
    failed_together_ = true;
    if (size() == 1) std::rethrow_exception(own);
    throw Error(failure.substr(1));
  }
}

}  // namespace caffe

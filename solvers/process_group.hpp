#ifndef METAPERTURB_SOLVERS_PROCESS_GROUP_HPP_
#define METAPERTURB_SOLVERS_PROCESS_GROUP_HPP_

#include <functional>
#include <string>
#include <vector>

namespace caffe {

/// The processes that share a meta-training run, and how they talk. This class is a run in one
/// process; `metaperturb train` under mpirun gives the meta-solver one that uses MPI. Everything
/// but Send and Receive is collective: every process calls it, in the same order.
class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;

  virtual int rank() const { return 0; }
  virtual int size() const { return 1; }

  /// The text of every process, in order of rank.
  virtual std::vector<std::string> AllGather(const std::string& mine) { return {mine}; }
  /// The numbers of all processes, in order of rank; counts[r] of them are from rank r. It is the
  /// only communication of a meta-step.
  virtual std::vector<double> AllGather(const std::vector<double>& mine,
                                        const std::vector<int>& counts);
  virtual void Send(const std::string& text, int to);
  virtual std::string Receive(int from);

  /// Runs `work`, which must not communicate, on every process. Where it throws on one or more, all
  /// throw an Error with the message of the lowest rank among them (a single process what it
  /// threw).
  void Together(const std::function<void()>& work);
  /// Whether Together threw: every process ends with the same Error, and one need tell it.
  bool failed_together() const { return failed_together_; }

 private:
  bool failed_together_ = false;
};

}  // namespace caffe

#endif  // METAPERTURB_SOLVERS_PROCESS_GROUP_HPP_

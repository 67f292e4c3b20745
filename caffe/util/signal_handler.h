#ifndef INCLUDE_CAFFE_UTIL_SIGNAL_HANDLER_H_
#define INCLUDE_CAFFE_UTIL_SIGNAL_HANDLER_H_

#include "caffe/solver.hpp"

namespace caffe {

/// While it lives, SIGINT and SIGHUP become the solver actions given here, and SIGTERM and SIGPIPE
/// (nobody reads what is printed any more) become STOP.
/// The same signal again, before the first has been acted upon, changes nothing.
/// There may be one at a time.
class SignalHandler {
 public:
  SignalHandler(SolverAction::Enum SIGINT_action, SolverAction::Enum SIGHUP_action);
  ~SignalHandler();
  /// For Solver::SetActionFunction; not to be called after this object is gone.
  ActionCallback GetActionFunction();

 private:
  SolverAction::Enum CheckForSignals() const;

  SolverAction::Enum sigint_action_;
  SolverAction::Enum sighup_action_;

  DISABLE_COPY_AND_ASSIGN(SignalHandler);
};

}  // namespace caffe

#endif  // INCLUDE_CAFFE_UTIL_SIGNAL_HANDLER_H_

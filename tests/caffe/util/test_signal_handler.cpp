#include "caffe/util/signal_handler.h"

#include <gtest/gtest.h>

#include <csignal>

namespace caffe {
namespace {

// raise() returns after the handler has run.

TEST(SignalHandler, SignalsBecomeActionsOnce) {
  SignalHandler handler(SolverAction::STOP, SolverAction::SNAPSHOT);
  const ActionCallback action = handler.GetActionFunction();
  EXPECT_EQ(SolverAction::NONE, action());
  for (const auto& [signal, expected] :
       {std::make_pair(SIGINT, SolverAction::STOP), std::make_pair(SIGHUP, SolverAction::SNAPSHOT),
        std::make_pair(SIGTERM, SolverAction::STOP)}) {
    raise(signal);
    EXPECT_EQ(expected, action()) << signal;
    EXPECT_EQ(SolverAction::NONE, action()) << signal;
  }
}

TEST(SignalHandler, TakesTheActionsGiven) {
  SignalHandler handler(SolverAction::SNAPSHOT, SolverAction::NONE);
  const ActionCallback action = handler.GetActionFunction();
  raise(SIGINT);
  EXPECT_EQ(SolverAction::SNAPSHOT, action());
  raise(SIGHUP);
  EXPECT_EQ(SolverAction::NONE, action());
  raise(SIGTERM);
  EXPECT_EQ(SolverAction::STOP, action());
}

TEST(SignalHandler, RepeatedSignalsAreOneAndNoneIsLost) {
  SignalHandler handler(SolverAction::SNAPSHOT, SolverAction::NONE);
  const ActionCallback action = handler.GetActionFunction();
  // timeout(1) and job schedulers may send a signal to the process and to its group.
  for (const int signal : {SIGINT, SIGTERM, SIGINT, SIGTERM}) raise(signal);
  EXPECT_EQ(SolverAction::STOP, action());
  EXPECT_EQ(SolverAction::SNAPSHOT, action());
  EXPECT_EQ(SolverAction::NONE, action());
}

TEST(SignalHandler, EndsWithItsObject) {
  {
    SignalHandler handler(SolverAction::STOP, SolverAction::STOP);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) raise(signal);
  }
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action = {};
    ASSERT_EQ(0, sigaction(signal, nullptr, &action));
    EXPECT_EQ(SIG_DFL, action.sa_handler) << signal;
  }
  // What the first one did not hand on is not the next one's.
  SignalHandler next(SolverAction::STOP, SolverAction::STOP);
  EXPECT_EQ(SolverAction::NONE, next.GetActionFunction()());
}

}  // namespace
}  // namespace caffe

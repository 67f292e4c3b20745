#include <csignal>

#include "caffe/util/signal_handler.h"

namespace caffe {

namespace {

volatile std::sig_atomic_t g_interrupted = 0;
volatile std::sig_atomic_t g_terminated = 0;
volatile std::sig_atomic_t g_hung_up = 0;
bool g_installed = false;

extern "C" void NoteSignal(int signal) {
  if (signal == SIGINT) g_interrupted = 1;
  // Whoever read the log is gone, as `tee` is before us when Ctrl-C is pressed.
  if (signal == SIGTERM || signal == SIGPIPE) g_terminated = 1;
  if (signal == SIGHUP) g_hung_up = 1;
}

void Install(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    PCHECK(sigaction(signal, &action, nullptr) == 0) << "sigaction";
  }
}

bool Take(volatile std::sig_atomic_t* flag) {
  const bool raised = *flag != 0;
  *flag = 0;
  return raised;
}

}  // namespace

SignalHandler::SignalHandler(SolverAction::Enum SIGINT_action, SolverAction::Enum SIGHUP_action)
    : sigint_action_(SIGINT_action), sighup_action_(SIGHUP_action) {
  CHECK(!g_installed) << "there is a SignalHandler already";
  g_installed = true;
  g_interrupted = g_terminated = g_hung_up = 0;
  Install(&NoteSignal);
}

SignalHandler::~SignalHandler() {
  Install(SIG_DFL);
  g_installed = false;
}

SolverAction::Enum SignalHandler::CheckForSignals() const {
  if (Take(&g_terminated)) return SolverAction::STOP;
  if (Take(&g_interrupted)) return sigint_action_;
  if (Take(&g_hung_up)) return sighup_action_;
  return SolverAction::NONE;
}

ActionCallback SignalHandler::GetActionFunction() {
  return [this] { return CheckForSignals(); };
}

}  // namespace caffe

#ifndef METAPERTURB_UTIL_PROGRESS_HPP_
#define METAPERTURB_UTIL_PROGRESS_HPP_

#include <chrono>
#include <string>

namespace caffe {

/// "45 s", "3 min 20 s", "2 h 5 min".
std::string FormatDuration(double seconds);

/// How far a run of `total` iterations is, which began at iteration `first` and handles `images`
/// images in each: the line "12% | 3400 images/s | 2 min 5 s left", and, where stderr is a
/// terminal, the same as a bar at the bottom that the next log line overwrites.
class Progress {
 public:
  void Start(int first, int total, int images);
  /// "" while nothing was done.
  std::string Line(int done) const;
  /// Draws the bar, at most twice a second; nothing where stderr is not a terminal.
  void DrawBar(int done);
  /// Wipes the bar before other output.
  void ClearBar();
  /// Whether 30 seconds have passed since Start or the last call that returned true.
  bool IsDue();
  /// Something was printed: the 30 seconds begin anew.
  void Printed() { printed_ = Clock::now(); }

 private:
  typedef std::chrono::steady_clock Clock;

  int first_ = 0;
  int total_ = 0;
  int images_ = 0;
  bool bar_shown_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point printed_ = start_;
  Clock::time_point drawn_ = start_;
};

}  // namespace caffe

#endif  // METAPERTURB_UTIL_PROGRESS_HPP_

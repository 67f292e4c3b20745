#include "util/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <sstream>

namespace caffe {

namespace {

constexpr double kSilence = 30;  // seconds after which something is printed
constexpr double kBarInterval = 0.5;

double Since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

bool OnTerminal() {
  static const bool terminal = isatty(STDERR_FILENO) != 0;
  return terminal;
}

}  // namespace

std::string FormatDuration(double seconds) {
  const long s = static_cast<long>(std::max(0.0, seconds) + 0.5);
  std::ostringstream out;
  if (s < 60) {
    out << s << " s";
  } else if (s < 3600) {
    out << s / 60 << " min " << s % 60 << " s";
  } else {
    out << s / 3600 << " h " << s / 60 % 60 << " min";
  }
  return out.str();
}

void Progress::Start(int first, int total, int images) {
  first_ = first;
  total_ = total;
  images_ = images;
  start_ = printed_ = drawn_ = Clock::now();
}

std::string Progress::Line(int done) const {
  const double seconds = Since(start_);
  if (done <= first_ || total_ <= 0 || seconds <= 0) return "";
  const double per_second = (done - first_) / seconds;
  std::ostringstream out;
  out << 100LL * done / total_ << "% | ";
  if (images_ > 0) {
    const double rate = per_second * images_;
    out.precision(rate < 999.5 ? 3 : 10);  // 999.7 in three digits would be 1e+03
    out << (rate < 999.5 ? rate : std::floor(rate + 0.5)) << " images/s | ";
  }
  out << FormatDuration((total_ - done) / per_second) << " left";
  return out.str();
}

void Progress::DrawBar(int done) {
  if (!OnTerminal() || Since(drawn_) < kBarInterval) return;
  drawn_ = Clock::now();
  const int width = 30;
  const int filled = total_ > 0 ? static_cast<int>(int64_t{width} * done / total_) : 0;
  const std::string bar = std::string(filled, '#') + std::string(width - filled, '.');
  // The cursor goes back to the line's start, so that whatever is printed next replaces the bar.
  std::fprintf(stderr, "\033[K[%s] %s\r", bar.c_str(), Line(done).c_str());
  std::fflush(stderr);
  bar_shown_ = true;
}

void Progress::ClearBar() {
  if (!bar_shown_) return;
  std::fputs("\033[K", stderr);
  std::fflush(stderr);
  bar_shown_ = false;
}

bool Progress::IsDue() {
  if (Since(printed_) < kSilence) return false;
  printed_ = Clock::now();
  return true;
}

}  // namespace caffe

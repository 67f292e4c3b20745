// metaperturb plot: training loss and test accuracy of one or several Caffe logs, as an SVG.

#include <algorithm>
#include <iomanip>

#include "caffe/common.hpp"
#include "tools/metaperturb/commands.hpp"
#include "util/error.hpp"

DECLARE_string(output);
DEFINE_string(log, "", "plot: logs of `caffe train`, as NAME:FILE,NAME:FILE");

namespace {

using std::string;
using std::vector;

typedef vector<std::pair<double, double>> Curve;  // (iteration, value)

struct Run {
  string name;
  Curve loss, accuracy;
};

// The number behind the first `mark` in a line.
bool NumberAfter(const string& line, const string& mark, double* number) {
  const size_t at = line.find(mark);
  if (at == string::npos) return false;
  const char* begin = line.c_str() + at + mark.size();
  char* end = nullptr;
  *number = std::strtod(begin, &end);
  return end != begin && std::isfinite(*number);
}

Run ReadLog(const string& name, const string& file) {
  std::ifstream stream(file);
  ENFORCE(stream) << file << ": cannot be read";
  Run run;
  run.name = name;
  double iteration = 0, value = 0;
  for (string line; std::getline(stream, line);) {
    if (line.find("Meta-iteration ") != string::npos) {
      if (NumberAfter(line, "Meta-iteration ", &iteration) &&
          NumberAfter(line, "val loss = ", &value)) {
        run.loss.emplace_back(iteration, value);
      }
    } else if (NumberAfter(line, " Iteration ", &iteration)) {
      if (NumberAfter(line, ", loss = ", &value)) run.loss.emplace_back(iteration, value);
    } else if (line.find("Test net output #") != string::npos &&
               NumberAfter(line, ": accuracy = ", &value)) {
      run.accuracy.emplace_back(iteration, value);
    }
  }
  ENFORCE(!run.loss.empty()) << file << ": has no line with an iteration's loss";
  return run;
}

vector<Run> ReadLogs(const string& list) {
  vector<Run> runs;
  std::istringstream stream(list);
  for (string item; std::getline(stream, item, ',');) {
    const size_t colon = item.find(':');
    ENFORCE(colon != string::npos && colon > 0)
        << "--log: '" << item << "' is not of the form NAME:FILE";
    runs.push_back(ReadLog(item.substr(0, colon), item.substr(colon + 1)));
  }
  return runs;
}

string Escape(const string& text) {
  string result;
  for (const char c : text) {
    switch (c) {
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '&':
        result += "&amp;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

// 1, 2 or 5 times a power of ten, so that `range` has about five of them.
double TickStep(double range) {
  const double power = std::pow(10.0, std::floor(std::log10(range / 5)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (range / (factor * power) <= 6) return factor * power;
  }
  return 10 * power;
}

constexpr const char* kColors[] = {"#4269d0", "#ff725c", "#3ca951", "#a463f2",
                                   "#efb118", "#6cc5b0", "#97bbf5", "#9c6b4e"};
constexpr int kWidth = 420, kHeight = 280, kLeft = 62, kTop = 44, kGap = 90;

string Color(size_t run) {
  return kColors[run % (sizeof(kColors) / sizeof(kColors[0]))];
}

// One panel: a title, axes with ticks, and a line per run.
void DrawPanel(std::ostream& svg, int x0, const string& title, const vector<Run>& runs,
               Curve Run::*curve, bool from_zero) {
  double right = 1, low = from_zero ? 0 : 1e300, high = -1e300;
  for (const Run& run : runs) {
    for (const auto& [x, y] : run.*curve) {
      right = std::max(right, x);
      low = std::min(low, y);
      high = std::max(high, y);
    }
  }
  if (high < low) low = 0, high = 1;
  if (high - low < 1e-6) low -= 0.5, high += 0.5;
  const double step = TickStep(high - low);
  low = std::floor(low / step) * step;
  high = std::ceil(high / step) * step;
  const auto px = [&](double x) { return x0 + kWidth * x / right; };
  const auto py = [&](double y) { return kTop + kHeight * (high - y) / (high - low); };

  svg << "<text class='title' x='" << x0 << "' y='" << kTop - 18 << "'>" << title << "</text>\n";
  for (int i = 0; low + i * step <= high + step / 2; ++i) {
    const double y = low + i * step;
    svg << "<line class='grid' x1='" << x0 << "' x2='" << x0 + kWidth << "' y1='" << py(y)
        << "' y2='" << py(y) << "'/><text x='" << x0 - 8 << "' y='" << py(y) + 4
        << "' text-anchor='end'>" << std::setprecision(4) << (std::abs(y) < step / 2 ? 0 : y)
        << "</text>\n";
  }
  const double x_step = TickStep(right);
  for (int i = 0; i * x_step <= right * 1.001; ++i) {
    svg << "<line class='axis' x1='" << px(i * x_step) << "' x2='" << px(i * x_step) << "' y1='"
        << kTop + kHeight << "' y2='" << kTop + kHeight + 5 << "'/><text x='" << px(i * x_step)
        << "' y='" << kTop + kHeight + 20 << "' text-anchor='middle'>" << std::setprecision(7)
        << i * x_step << "</text>\n";
  }
  svg << "<path class='axis' d='M" << x0 << " " << kTop << "V" << kTop + kHeight << "H"
      << x0 + kWidth << "'/>\n<text x='" << x0 + kWidth / 2 << "' y='" << kTop + kHeight + 40
      << "' text-anchor='middle'>iteration</text>\n";
  for (size_t r = 0; r < runs.size(); ++r) {
    svg << "<polyline stroke='" << Color(r) << "' points='";
    for (const auto& [x, y] : runs[r].*curve) {
      svg << std::setprecision(6) << px(x) << "," << py(y) << " ";
    }
    svg << "'/>\n";
  }
}

}  // namespace

int RunPlot() {
  ENFORCE(!FLAGS_log.empty()) << "--log is not given: NAME:FILE[,NAME:FILE ...]";
  ENFORCE(!FLAGS_output.empty()) << "--output is not given";
  const vector<Run> runs = ReadLogs(FLAGS_log);
  constexpr int kSecond = kLeft + kWidth + kGap, kTotalWidth = kSecond + kWidth + 24;
  const int legend = kTop + kHeight + 68;
  const int height = legend + 20 * static_cast<int>(runs.size());
  std::ofstream svg(FLAGS_output);
  svg << "<svg xmlns='http://www.w3.org/2000/svg' width='" << kTotalWidth << "' height='" << height
      << "' viewBox='0 0 " << kTotalWidth << " " << height << "'>\n"
      << "<style>text{font:12px sans-serif;fill:#333}.title{font-size:15px;font-weight:bold}"
         ".grid{stroke:#e4e4e4}.axis{stroke:#777;fill:none}"
         "polyline{fill:none;stroke-width:2;stroke-linejoin:round}</style>\n"
      << "<rect width='100%' height='100%' fill='#fff'/>\n";
  DrawPanel(svg, kLeft, "Training loss", runs, &Run::loss, true);
  DrawPanel(svg, kSecond, "Test accuracy", runs, &Run::accuracy, false);
  for (size_t r = 0; r < runs.size(); ++r) {
    const int y = legend + 20 * static_cast<int>(r);
    svg << "<rect x='" << kLeft << "' y='" << y - 8 << "' width='22' height='4' fill='" << Color(r)
        << "'/><text x='" << kLeft + 30 << "' y='" << y - 2 << "'>" << Escape(runs[r].name)
        << "</text>\n";
  }
  svg << "</svg>\n";
  svg.close();
  ENFORCE(svg) << FLAGS_output << ": cannot be written: " << std::strerror(errno);
  return 0;
}

#include "tools/metaperturb/svg_chart.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>

namespace metaperturb {

using std::string;
using std::vector;

string EscapeXml(const string& text) {
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
      case '\'':
        result += "&#39;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

namespace {

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

string Color(size_t series) {
  return kColors[series % (sizeof(kColors) / sizeof(kColors[0]))];
}

// Which of the `named` series has that name, series `i` of another chart.
size_t PlaceOf(const string& name, size_t i, const vector<Series>& named) {
  if (i < named.size() && named[i].name == name) return i;
  for (size_t k = 0; k < named.size(); ++k) {
    if (named[k].name == name) return k;
  }
  return i;
}

// A title, axes with ticks, and the lines.
void DrawChart(std::ostream& svg, int x0, const Chart& chart, const vector<Series>& named) {
  double right = 1, low = chart.from_zero ? 0 : 1e300, high = -1e300;
  for (const Series& series : chart.series) {
    for (const auto& [x, y] : series.points) {
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

  svg << "<text class='title' x='" << x0 << "' y='" << kTop - 18 << "'>" << EscapeXml(chart.title)
      << "</text>\n";
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
      << "' text-anchor='middle'>" << EscapeXml(chart.x_label) << "</text>\n";
  for (size_t i = 0; i < chart.series.size(); ++i) {
    svg << "<polyline stroke='" << Color(PlaceOf(chart.series[i].name, i, named)) << "' points='";
    for (const auto& [x, y] : chart.series[i].points) {
      svg << std::setprecision(6) << px(x) << "," << py(y) << " ";
    }
    svg << "'/>\n";
  }
}

}  // namespace

void WriteCharts(std::ostream& out, const vector<Chart>& charts) {
  const int count = static_cast<int>(charts.size());
  const int width = kLeft + count * kWidth + (count - 1) * kGap + 24;
  const vector<Series>& named = charts.at(0).series;
  const int legend = kTop + kHeight + 68;
  const int height = legend + 20 * static_cast<int>(named.size());
  out << "<svg xmlns='http://www.w3.org/2000/svg' width='" << width << "' height='" << height
      << "' viewBox='0 0 " << width << " " << height << "'>\n"
      << "<style>text{font:12px sans-serif;fill:#333}.title{font-size:15px;font-weight:bold}"
         ".grid{stroke:#e4e4e4}.axis{stroke:#777;fill:none}"
         "polyline{fill:none;stroke-width:2;stroke-linejoin:round}</style>\n"
      << "<rect width='100%' height='100%' fill='#fff'/>\n";
  for (int i = 0; i < count; ++i) DrawChart(out, kLeft + i * (kWidth + kGap), charts[i], named);
  for (size_t i = 0; i < named.size(); ++i) {
    const int y = legend + 20 * static_cast<int>(i);
    out << "<rect x='" << kLeft << "' y='" << y - 8 << "' width='22' height='4' fill='" << Color(i)
        << "'/><text x='" << kLeft + 30 << "' y='" << y - 2 << "'>" << EscapeXml(named[i].name)
        << "</text>\n";
  }
  out << "</svg>\n";
}

}  // namespace metaperturb

#ifndef METAPERTURB_TOOLS_METAPERTURB_SVG_CHART_HPP_
#define METAPERTURB_TOOLS_METAPERTURB_SVG_CHART_HPP_

#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace metaperturb {

/// A line of a chart: (x, value) from left to right.
struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

struct Chart {
  std::string title;
  std::vector<Series> series;
  bool from_zero = false;  // the lower end of the axis is 0
  std::string x_label = "iteration";
};

/// <, >, & and quotes as XML writes them.
std::string EscapeXml(const std::string& text);

/// An <svg> element with the charts side by side, and one legend below: the names of the first
/// chart's series, whose colours the others share.
void WriteCharts(std::ostream& out, const std::vector<Chart>& charts);

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_METAPERTURB_SVG_CHART_HPP_

// metaperturb report: a meta-training run as one HTML page that needs nothing else.

#include <boost/algorithm/string/predicate.hpp>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iomanip>
#include <map>
#include <sstream>

#include "caffe/common.hpp"
#include "layers/read_phi.hpp"
#include "tools/metaperturb/commands.hpp"
#include "tools/metaperturb/svg_chart.hpp"
#include "util/atomic_file.hpp"
#include "util/error.hpp"

DEFINE_string(csv, "", "The run's numbers, as MetaSolverParameter.csv wrote them");
DECLARE_string(output);
DECLARE_string(phi);

namespace {

using metaperturb::Chart;
using metaperturb::EscapeXml;
using std::string;
using std::vector;

struct Column {
  string name;
  vector<double> values;
};

// The fields of a line of CSV; a quoted one may hold commas, and quotes doubled.
vector<string> Fields(const string& line) {
  vector<string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') {
      if (quoted && i + 1 < line.size() && line[i + 1] == '"')
        fields.back() += line[i++];
      else
        quoted = !quoted;
    } else if (line[i] == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += line[i];
    }
  }
  return fields;
}

vector<Column> ReadCsv(const string& file) {
  std::ifstream stream(file);
  string line;
  ENFORCE(std::getline(stream, line)) << file << ": cannot be read, or is empty";
  if (!line.empty() && line.back() == '\r') line.pop_back();
  vector<Column> columns;
  for (const string& name : Fields(line)) columns.push_back({name, {}});
  ENFORCE(columns[0].name == "iteration")
      << file << ":1: the first column is '" << columns[0].name << "', not 'iteration'";
  for (int number = 2; std::getline(stream, line); ++number) {
    if (stream.eof()) break;  // a row that is being written, or was not finished
    if (!line.empty() && line.back() == '\r') line.pop_back();
    const vector<string> fields = Fields(line);
    ENFORCE(fields.size() == columns.size())
        << file << ":" << number << ": has " << fields.size() << " values, not " << columns.size();
    for (size_t i = 0; i < fields.size(); ++i) {
      char* end = nullptr;
      columns[i].values.push_back(std::strtod(fields[i].c_str(), &end));
      ENFORCE(!fields[i].empty() && *end == '\0')
          << file << ":" << number << ": '" << fields[i] << "' is no number";
    }
  }
  ENFORCE(!columns[0].values.empty()) << file << ": has no row";
  return columns;
}

// The columns of that name, or of all tasks, "TASK" + suffix, under the tasks' names.
Chart ChartOf(const string& title, const vector<Column>& columns, const string& name) {
  Chart chart = {title, {}, true};
  for (const Column& column : columns) {
    const bool of_task = name[0] == '/' && boost::algorithm::ends_with(column.name, name);
    if (!of_task && column.name != name) continue;
    metaperturb::Series series;
    series.name = of_task ? column.name.substr(0, column.name.size() - name.size()) : name;
    for (size_t i = 0; i < column.values.size(); ++i) {
      if (!std::isfinite(column.values[i])) continue;
      series.points.emplace_back(columns[0].values[i], column.values[i]);
    }
    chart.series.push_back(series);
  }
  return chart;
}

// Blue below 0, red above, white at 0; full at `full`.
string Shade(double value, double full) {
  const int fade = static_cast<int>(255 * (1 - std::min(1.0, std::fabs(value) / full)));
  std::ostringstream color;
  color << (value < 0 ? "rgb(" : "rgb(255,") << fade << "," << fade << (value < 0 ? ",255)" : ")");
  return color.str();
}

// Phi's 3x3 kernels as coloured squares, all on one scale, and the ten weights of the scale.
void WritePhi(std::ostream& out, const vector<double>& phi) {
  const char* kKernels[] = {"a1", "b1", "a2", "b2", "kappa1", "kappa2", "kappa3", "kappa4"};
  const char* kWeights[] = {"mean f1", "mean f2", "mean f3", "mean f4",    "var f1",
                            "var f2",  "var f3",  "var f4",  "C / C_norm", "H / H_norm"};
  double full = 1e-12;
  for (int i = 0; i < 72; ++i) full = std::max(full, std::fabs(phi[i]));
  out << "<h2>phi</h2>\n<p>Kernels of the noise (a1, b1, a2, b2) and of the scale (kappa); blue is "
         "negative, red positive, full colour "
      << full << ".</p>\n<div>";
  for (int k = 0; k < 8; ++k) {
    out << "<table class='kernel'><caption>" << kKernels[k] << "</caption>\n";
    for (int y = 0; y < 3; ++y) {
      out << "<tr>";
      for (int x = 0; x < 3; ++x) {
        const double value = phi[9 * k + 3 * y + x];
        out << "<td style='background:" << Shade(value, full) << "'>" << value << "</td>";
      }
      out << "</tr>\n";
    }
    out << "</table>";
  }
  out << "</div>\n<table><caption>Weights w of the scale's features</caption>\n<tr>";
  for (const char* name : kWeights) out << "<th>" << name << "</th>";
  out << "</tr>\n<tr>";
  for (int i = 0; i < 10; ++i) out << "<td>" << phi[72 + i] << "</td>";
  out << "</tr>\n</table>\n";
}

// The layer of "TASK/LAYER", where either may have slashes: each task has a column
// "TASK/train_loss".
string LayerOf(const string& where, const vector<Column>& columns) {
  size_t task = where.find('/');
  for (const Column& column : columns) {
    const size_t slash = column.name.rfind('/');
    if (slash == string::npos || column.name.substr(slash) != "/train_loss") continue;
    const bool is_its = where.compare(0, slash + 1, column.name, 0, slash + 1) == 0;
    if (is_its) task = std::max(task, slash);  // "x/y" rather than "x"
  }
  return where.substr(task + 1);
}

// Noise and scale of every layer at the last row, averaged over the tasks that have it.
void WriteLayers(std::ostream& out, const vector<Column>& columns) {
  const char* kQuantities[] = {"noise_mean", "noise_deviation", "scale_mean", "scale_deviation"};
  vector<string> layers;
  std::map<string, std::map<string, std::pair<double, int>>> sums;
  for (const Column& column : columns) {
    for (const char* quantity : kQuantities) {
      if (!boost::algorithm::ends_with(column.name, string("/") + quantity)) continue;
      const string where = column.name.substr(0, column.name.size() - std::strlen(quantity) - 1);
      const string layer = LayerOf(where, columns);
      if (!sums.count(layer)) layers.push_back(layer);
      auto& sum = sums[layer][quantity];
      sum.first += column.values.back();
      ++sum.second;
    }
  }
  if (layers.empty()) return;
  out << "<h2>Where the perturbation acts</h2>\n<p>Noise z and scale s of every layer at the last "
         "displayed iteration, mean over the tasks. An input is multiplied by 1 + a (s z - 1), a = "
         "noise_coeff.</p>\n"
         "<table><tr><th>layer</th><th>noise</th><th>deviation</th><th>scale</th>"
         "<th>deviation</th><th>s z, 0 to 2</th></tr>\n";
  for (const string& layer : layers) {
    out << "<tr><th>" << EscapeXml(layer) << "</th>";
    double value[4] = {};
    for (int q = 0; q < 4; ++q) {
      const auto& sum = sums[layer][kQuantities[q]];
      if (sum.second > 0) value[q] = sum.first / sum.second;
      out << "<td>" << value[q] << "</td>";
    }
    const double product = value[0] * value[2];
    const double factor = std::isfinite(product) ? std::max(0.0, std::min(2.0, product)) : 0;
    out << "<td><div class='bar' style='width:" << 100 * factor << "px'></div></td></tr>\n";
  }
  out << "</table>\n";
}

}  // namespace

int RunReport() {
  ENFORCE(!FLAGS_csv.empty()) << "--csv is not given";
  ENFORCE(!FLAGS_output.empty()) << "--output is not given";
  const vector<Column> columns = ReadCsv(FLAGS_csv);
  const vector<double> phi = FLAGS_phi.empty() ? vector<double>() : caffe::ReadPhi(FLAGS_phi);

  std::ostringstream out;
  out << std::setprecision(3)
      << "<!DOCTYPE html>\n<html lang='en'><head><meta "
         "charset='utf-8'/><title>Meta-training</title>\n"
         "<style>body{font:14px sans-serif;color:#333;margin:2em}td,th{padding:2px 8px;"
         "text-align:right}.kernel{display:inline-table;margin:0 1em 1em 0}.kernel td{width:3.5em;"
         "height:2.4em;text-align:center;font-size:11px}.bar{height:10px;background:#4269d0}"
         "svg{display:block}</style></head><body>\n"
      << "<h1>Meta-training of phi</h1>\n<p>" << EscapeXml(FLAGS_csv) << ", iterations "
      << std::setprecision(9) << columns[0].values.front() << " to " << columns[0].values.back()
      << (FLAGS_phi.empty() ? "" : "; phi from ") << EscapeXml(FLAGS_phi) << "</p>\n"
      << std::setprecision(3);
  const auto charts = [&](const vector<Chart>& wanted) {
    vector<Chart> there;
    for (const Chart& chart : wanted) {
      if (!chart.series.empty()) there.push_back(chart);
    }
    if (!there.empty()) metaperturb::WriteCharts(out, there);
    out << std::setprecision(3);
  };
  charts({ChartOf("Training loss, mean over tasks", columns, "theta_loss"),
          ChartOf("Validation loss, mean over tasks", columns, "val_loss")});
  charts({ChartOf("Norm of phi's gradient", columns, "phi_gradient_norm"),
          ChartOf("Norm of phi", columns, "phi_norm")});
  out << "<h2>Tasks</h2>\n";
  charts({ChartOf("Training loss", columns, "/train_loss"),
          ChartOf("Validation loss", columns, "/val_loss"),
          ChartOf("Validation accuracy", columns, "/val_accuracy")});
  if (!phi.empty()) WritePhi(out, phi);
  WriteLayers(out, columns);
  out << "</body></html>\n";
  caffe::WriteFile(FLAGS_output, out.str());
  return 0;
}

// metaperturb plot: training loss and test accuracy of one or several Caffe logs, as an SVG.

#include <filesystem>
#include <fstream>
#include <sstream>

#include "caffe/common.hpp"
#include "tools/metaperturb/commands.hpp"
#include "tools/metaperturb/svg_chart.hpp"
#include "util/atomic_file.hpp"
#include "util/error.hpp"

DECLARE_string(output);
DEFINE_string(log, "", "Logs of `caffe train`, as NAME:FILE,NAME:FILE");

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
          NumberAfter(line, "theta loss = ", &value)) {
        run.loss.emplace_back(iteration, value);
      }
    } else if (NumberAfter(line, " Iteration ", &iteration)) {
      if (NumberAfter(line, ", loss = ", &value)) run.loss.emplace_back(iteration, value);
    } else if (line.find("Test net output #") != string::npos &&
               NumberAfter(line, ": accuracy = ", &value)) {
      run.accuracy.emplace_back(iteration, value);
    }
  }
  ENFORCE(!run.loss.empty()) << file
                             << ": has no line with an iteration's loss (caffe train writes them "
                                "every `display` iterations)";
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

}  // namespace

int RunPlot() {
  ENFORCE(!FLAGS_log.empty()) << "--log is not given: NAME:FILE[,NAME:FILE ...]";
  ENFORCE(!FLAGS_output.empty()) << "--output is not given";
  ENFORCE(std::filesystem::path(FLAGS_output).extension() == ".svg")
      << "--output=" << FLAGS_output << ": the picture is written as SVG: FILE.svg";
  metaperturb::Chart loss = {"Training loss", {}, true}, accuracy = {"Test accuracy", {}, false};
  for (const Run& run : ReadLogs(FLAGS_log)) {
    loss.series.push_back({run.name, run.loss});
    accuracy.series.push_back({run.name, run.accuracy});
  }
  std::ostringstream svg;
  metaperturb::WriteCharts(svg, {loss, accuracy});
  caffe::WriteFile(FLAGS_output, svg.str());
  return 0;
}

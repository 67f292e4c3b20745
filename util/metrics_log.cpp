#include "util/metrics_log.hpp"

#include <glog/logging.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "util/atomic_file.hpp"
#include "util/error.hpp"

namespace caffe {

std::string CsvQuoted(const std::string& name) {
  if (name.find_first_of(",\"\n") == std::string::npos) return name;
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

void MetricsLog::Start(const std::string& csv, const std::string& folder, int iter) {
  csv_.close();
  csv_path_ = csv;
  first_iter_ = iter;
  events_.reset(folder.empty() ? nullptr : new EventFile(folder));
  if (csv.empty()) return;
  errno = 0;  // found now and not at the first row
  ENFORCE(std::ofstream(csv, std::ios::app).good())
      << csv << ": cannot be written: " << std::strerror(errno);
}

void MetricsLog::Open(const Scalars& scalars) {
  std::string header = "iteration";
  for (const auto& scalar : scalars) header += "," + CsvQuoted(scalar.first);
  std::string kept;
  std::ifstream before(csv_path_);
  std::string line;
  if (first_iter_ > 0 && std::getline(before, line)) {
    ENFORCE(line == header) << csv_path_ << ": has other columns than this run, which continues it";
    // A row without its end is one that a kill has cut.
    while (std::getline(before, line) && !before.eof()) {
      if (std::atoi(line.c_str()) < first_iter_) kept += line + "\n";
    }
  }
  before.close();
  // Whole or not at all: a kill or a full disk here must not cost the rows of the run before.
  try {
    WriteFile(csv_path_, header + "\n" + kept);
    csv_.open(csv_path_, std::ios::app);
  } catch (const Error& error) {
    LOG(WARNING) << error.what();
    csv_path_.clear();
  }
}

void MetricsLog::Write(int iter, const Scalars& scalars) {
  if (!csv_path_.empty() && !csv_.is_open()) Open(scalars);
  if (!csv_path_.empty()) {
    csv_ << iter;
    for (const auto& scalar : scalars) {
      char value[32];
      std::snprintf(value, sizeof value, ",%.9g", scalar.second);
      csv_ << value;
    }
    csv_ << "\n" << std::flush;
    if (!csv_) {
      LOG(WARNING) << csv_path_ << ": cannot be written any more: " << std::strerror(errno);
      csv_path_.clear();
    }
  }
  if (events_ && !events_->Write(iter, scalars)) {
    LOG(WARNING) << events_->path() << ": cannot be written any more: " << std::strerror(errno);
    events_.reset();
  }
}

}  // namespace caffe

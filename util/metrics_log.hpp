#ifndef METAPERTURB_UTIL_METRICS_LOG_HPP_
#define METAPERTURB_UTIL_METRICS_LOG_HPP_

#include <fstream>
#include <memory>
#include <string>

#include "util/event_file.hpp"

namespace caffe {

/// A field of a CSV file: in quotes where it has to be.
std::string CsvQuoted(const std::string& name);

/// A run's numbers over its iterations, as a CSV file (a header "iteration,NAME,...", then a row
/// per iteration, values with nine digits) and as TensorBoard events. Once begun, a file that can
/// no longer be written (a full disk) is named in one warning, and the run goes on without it.
class MetricsLog {
 public:
  /// Begins at iteration `iter`: rows of `csv` from there on, of a run that is continued, are
  /// dropped, those before are kept; at 0 all are. Each of `csv` and `folder` may be empty: not
  /// wanted. An Error names a file that cannot be written, or whose columns are others.
  void Start(const std::string& csv, const std::string& folder, int iter);
  /// The same names in the same order each time.
  void Write(int iter, const Scalars& scalars);
  bool wanted() const { return !csv_path_.empty() || events_; }

 private:
  void Open(const Scalars& scalars);

  std::string csv_path_;
  int first_iter_ = 0;
  std::ofstream csv_;
  std::unique_ptr<EventFile> events_;
};

}  // namespace caffe

#endif  // METAPERTURB_UTIL_METRICS_LOG_HPP_

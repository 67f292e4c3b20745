#ifndef METAPERTURB_UTIL_EVENT_FILE_HPP_
#define METAPERTURB_UTIL_EVENT_FILE_HPP_

#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace caffe {

/// Names and values at one iteration.
typedef std::vector<std::pair<std::string, double>> Scalars;

/// An event file that TensorBoard reads: FOLDER/events.out.tfevents.SECONDS.HOST.PID, a sequence of
/// records (length, its CRC-32C, an Event message, its CRC-32C) as TensorFlow's documentation of
/// TFRecord and its event.proto describe them.
class EventFile {
 public:
  /// Makes the folder and the file; an Error that names them where that fails.
  explicit EventFile(const std::string& folder);
  /// One Event with a scalar summary for each value. False where the file cannot be written.
  bool Write(int64_t step, const Scalars& scalars);
  const std::string& path() const { return path_; }

 private:
  bool WriteRecord(const std::string& event);

  std::string path_;
  std::ofstream file_;
};

}  // namespace caffe

#endif  // METAPERTURB_UTIL_EVENT_FILE_HPP_

#ifndef METAPERTURB_BENCH_COMMON_HPP_
#define METAPERTURB_BENCH_COMMON_HPP_

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "caffe/net.hpp"

namespace metaperturb {
namespace bench {

class Stopwatch {
 public:
  double Milliseconds() const {
    return std::chrono::duration<double, std::milli>(Clock::now() - start_).count();
  }

 private:
  typedef std::chrono::steady_clock Clock;
  Clock::time_point start_ = Clock::now();
};

double Median(std::vector<double> values);

/// OpenMP threads, as OMP_NUM_THREADS or the machine says.
int Threads();

/// The most memory that this process has had in use, MiB.
double PeakMemory();

/// One line of JSON, {"a": 1, "b": [1, 2], ...}, built field by field.
class JsonLine {
 public:
  JsonLine& Add(const std::string& name, const std::string& value);
  JsonLine& Add(const std::string& name, const char* value);
  JsonLine& Add(const std::string& name, double value);
  JsonLine& Add(const std::string& name, const std::vector<double>& values);
  JsonLine& Add(const std::string& name, const std::map<std::string, double>& values);
  /// To standard output, at once: a reader may be waiting for it.
  void Print() const;

 private:
  void AddRaw(const std::string& name, const std::string& json);
  std::string text_;
};

/// Calls `measure` once; or, with `on_request`, once for every line of standard input, so that
/// several programs can be held ready and measured in turn. `measure` prints one JsonLine.
void Serve(bool on_request, const std::function<void()>& measure);

/// The project's model `name` (tools/metaperturb/model_builder.hpp) for training, 10 classes, with
/// MetaPerturb layers where `mp` asks for them. Its data comes from memory (SyntheticData), or from
/// the LMDB `source`.
caffe::NetParameter TrainingModel(const std::string& name, bool mp, bool shared_phi, int batch,
                                  int crop = 32, const std::string& source = "");

/// Gaussian images and uniform labels that a net of TrainingModel reads again and again, so that a
/// step's time has no share of theirs in it.
class SyntheticData {
 public:
  SyntheticData(int batch, int size, int classes);
  void Feed(caffe::Net<float>* net);

 private:
  std::vector<float> images_, labels_;
};

/// Has the flags' usage errors printed as one line, exit code 1, and threads set up as the tools
/// do.
int Main(int argc, char** argv, const char* usage, const std::function<void()>& run);

}  // namespace bench
}  // namespace metaperturb

#endif  // METAPERTURB_BENCH_COMMON_HPP_

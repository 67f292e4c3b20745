#ifndef METAPERTURB_SOLVERS_META_STATE_FILE_HPP_
#define METAPERTURB_SOLVERS_META_STATE_FILE_HPP_

#include <boost/crc.hpp>
#include <functional>
#include <string>

#include "caffe/common.hpp"
#include "caffe/proto/meta_solver.pb.h"
#include "util/atomic_file.hpp"

namespace caffe {

// A .metastate is a MetaSolverState in protobuf's binary form, whose checksum is the CRC-32 of the
// rest. It is written and read task by task: protobuf holds no message of 2 GiB, and many tasks, or
// a few of large networks, have more.

/// Writes one; nothing is to be seen of it before Finish. Errors name the file.
class MetaStateWriter {
 public:
  /// `head`: iteration, phi and its solver.
  MetaStateWriter(const string& file, const MetaSolverState& head);
  void AddTask(const MetaSolverState::Task& task);
  /// `rest`: seed and losses.
  void Finish(MetaSolverState rest);

 private:
  void Write(const string& bytes);

  const string path_;
  AtomicFile file_;
  boost::crc_32_type crc_;
};

/// Reads one. Of the tasks for which `wanted` is false only the names are kept. An Error names a
/// file that is missing, damaged, or something else.
MetaSolverState ReadMetaState(const string& file, const std::function<bool(int)>& wanted);

}  // namespace caffe

#endif  // METAPERTURB_SOLVERS_META_STATE_FILE_HPP_

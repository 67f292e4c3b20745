#ifndef METAPERTURB_UTIL_SNAPSHOTS_HPP_
#define METAPERTURB_UTIL_SNAPSHOTS_HPP_

#include <functional>
#include <string>
#include <vector>

namespace caffe {

// The snapshots of a run as files: PREFIX_iter_N.EXTENSION, N the iteration.

struct SnapshotFile {
  int iter;
  std::string path;
};

/// The files of that prefix and extension (".solverstate"), newest first.
std::vector<SnapshotFile> FindSnapshots(const std::string& prefix, const std::string& extension);

/// The newest snapshot that `check` accepts. One for which `check` throws an Error is named in a
/// warning and the one before it is tried. Empty where there is none yet, also said in the log; an
/// Error where there are some and all are refused.
std::string NewestGoodSnapshot(const std::string& prefix, const std::string& extension,
                               const std::function<void(const std::string&)>& check);

/// Removes the files of that prefix and extension up to iteration `iter`, but for the `keep` newest
/// of them; keep = 0 removes none.
void PruneSnapshots(const std::string& prefix, const std::string& extension, int iter, int keep);

}  // namespace caffe

#endif  // METAPERTURB_UTIL_SNAPSHOTS_HPP_

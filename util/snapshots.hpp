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

/// Keeps the `keep` newest snapshots up to iteration `iter`, which are there where their file of
/// the first extension is, and removes the files of these extensions of all iterations before them;
/// keep = 0 removes none.
void PruneSnapshots(const std::string& prefix, const std::vector<std::string>& extensions, int iter,
                    int keep);

/// Throws Error, with the reason, where snapshots of that prefix could not be written.
void CheckSnapshotPrefix(const std::string& prefix);

}  // namespace caffe

#endif  // METAPERTURB_UTIL_SNAPSHOTS_HPP_

#include "util/snapshots.hpp"

#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "util/error.hpp"

namespace caffe {

namespace fs = std::filesystem;

std::vector<SnapshotFile> FindSnapshots(const std::string& prefix, const std::string& extension) {
  const fs::path path(prefix);
  const std::string start = path.filename().string() + "_iter_";
  std::vector<SnapshotFile> found;
  std::error_code ignored;  // a folder that is not there has no snapshots
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.size() <= start.size() + extension.size() || name.compare(0, start.size(), start) ||
        name.compare(name.size() - extension.size(), extension.size(), extension)) {
      continue;
    }
    const std::string digits =
        name.substr(start.size(), name.size() - start.size() - extension.size());
    if (digits.size() > 9 || digits.find_first_not_of("0123456789") != std::string::npos) continue;
    found.push_back({std::stoi(digits), prefix + "_iter_" + digits + extension});
  }
  std::sort(found.begin(), found.end(),
            [](const SnapshotFile& a, const SnapshotFile& b) { return a.iter > b.iter; });
  return found;
}

namespace {

// Such as those of another run under the same prefix, which came less far.
void WarnOfLaterOnes(const SnapshotFile& taken, const std::vector<SnapshotFile>& found) {
  std::error_code ignored;
  const auto time = fs::last_write_time(taken.path, ignored);
  for (const SnapshotFile& other : found) {
    if (other.iter >= taken.iter || fs::last_write_time(other.path, ignored) <= time) continue;
    LOG(WARNING) << taken.path << " has the most iterations and is taken; " << other.path
                 << " was written later, maybe by another run";
    return;
  }
}

}  // namespace

std::string NewestGoodSnapshot(const std::string& prefix, const std::string& extension,
                               const std::function<void(const std::string&)>& check) {
  const std::vector<SnapshotFile> found = FindSnapshots(prefix, extension);
  for (const SnapshotFile& snapshot : found) {
    try {
      check(snapshot.path);
      WarnOfLaterOnes(snapshot, found);
      return snapshot.path;
    } catch (const Error& e) {
      const bool is_last = &snapshot == &found.back();
      LOG(WARNING) << e.what() << (is_last ? "" : "; trying the snapshot before it");
    }
  }
  ENFORCE(found.empty()) << prefix << ": none of its " << found.size()
                         << " snapshot(s) can be used; the newest is " << found[0].path;
  LOG(INFO) << prefix << ": no snapshot yet, starting from the beginning";
  return "";
}

void PruneSnapshots(const std::string& prefix, const std::vector<std::string>& extensions, int iter,
                    int keep) {
  int oldest = 0;  // that is kept
  for (const SnapshotFile& snapshot : FindSnapshots(prefix, extensions[0])) {
    if (snapshot.iter <= iter && keep-- > 0) oldest = snapshot.iter;
  }
  if (keep > 0) return;
  for (const std::string& extension : extensions) {
    for (const SnapshotFile& snapshot : FindSnapshots(prefix, extension)) {
      if (snapshot.iter >= oldest) continue;
      std::error_code failed;
      fs::remove(snapshot.path, failed);
      if (failed) LOG(WARNING) << snapshot.path << ": cannot be removed: " << failed.message();
    }
  }
}

void CheckSnapshotPrefix(const std::string& prefix) {
  // As long as the longest name of a snapshot, and nobody's yet.
  std::string probe = prefix + "_iter_0000000000.solverstate.XXXXXX";
  const int file = mkstemp(&probe[0]);
  ENFORCE(file >= 0) << "snapshot_prefix '" << prefix
                     << "' cannot be written: " << std::strerror(errno);
  close(file);
  unlink(probe.c_str());
}

}  // namespace caffe

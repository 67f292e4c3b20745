#include "tools/common/lmdb_writer.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "util/error.hpp"
#include "util/path_exists.hpp"

namespace metaperturb {

namespace fs = std::filesystem;

LockedFolder::LockedFolder(const std::string& path, const std::string& output) : path_(path) {
  // Who had it may remove it between the steps: then once more, but not for ever, as a file system
  // may have no lasting inode numbers.
  bool is_ours = false;
  for (int tries = 1000; !is_ours; --tries) {
    std::error_code error;
    fs::create_directories(path, error);
    ENFORCE(!error) << path << ": cannot be made: " << error.message();
    descriptor_ = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor_ < 0 && errno == ENOENT) continue;
    ENFORCE(descriptor_ >= 0) << path << ": cannot be opened: " << std::strerror(errno);
    const bool is_taken = flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    struct stat opened, named;
    const bool is_named = fstat(descriptor_, &opened) == 0 && stat(path.c_str(), &named) == 0 &&
                          opened.st_ino == named.st_ino;
    is_ours = !is_taken && (is_named || tries <= 0);
    if (!is_ours) close(descriptor_);
    ENFORCE(!is_taken) << output << ": another run is writing it";
  }
}

LockedFolder::~LockedFolder() {
  rmdir(path_.c_str());  // before the lock ends
  close(descriptor_);
}

LmdbWriter::LmdbWriter(const std::string& output)
    : output_(output), target_(output), db_(caffe::db::GetDB("lmdb")) {
  if (!target_.has_filename()) target_ = target_.parent_path();  // a slash at its end
  ENFORCE(!caffe::PathExists(target_.string())) << output << ": exists already";
  const std::string folder = target_.string() + ".tmp";
  folder_ = std::make_unique<LockedFolder>(folder, output);
  ENFORCE(!caffe::PathExists(target_.string())) << output << ": exists already";  // by now
  temporary_ = folder + "/lmdb";
  std::error_code error;
  fs::remove_all(temporary_, error);  // of a run that was killed
  try {
    db_->Open(temporary_, caffe::db::NEW);
    transaction_.reset(db_->NewTransaction());
  } catch (...) {  // the destructor will not run
    Discard();
    throw;
  }
}

LmdbWriter::~LmdbWriter() {
  if (db_) Discard();
}

void LmdbWriter::Discard() {
  transaction_.reset();
  db_->Close();
  std::error_code error;
  fs::remove_all(temporary_, error);
}

void LmdbWriter::Put(const std::string& key, const std::string& value) {
  const int kCommit = 1000;
  const size_t kCommitBytes = 64 << 20;
  transaction_->Put(key, value);
  pending_bytes_ += value.size();
  if (++pending_ < kCommit && pending_bytes_ < kCommitBytes) return;
  transaction_->Commit();
  pending_ = 0;
  pending_bytes_ = 0;
}

void LmdbWriter::Finish() {
  if (pending_ > 0) transaction_->Commit();
  transaction_.reset();
  db_->Close();
  std::error_code error;
  fs::rename(temporary_, target_, error);
  ENFORCE(!error) << output_ << ": cannot be written: " << error.message();
  db_.reset();
}

}  // namespace metaperturb

#include "util/atomic_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "util/error.hpp"

namespace caffe {

namespace fs = std::filesystem;

namespace {

std::string WithoutLinks(const std::string& path) {
  std::error_code error;
  fs::path target = path;
  const int kMost = 40;  // as the kernel
  for (int i = 0; i < kMost && fs::is_symlink(target, error); ++i) {
    target = target.parent_path() / fs::read_symlink(target, error);
    if (error) return path;
  }
  return target.string();
}

// Whether the name stands for something that renaming a file onto it would destroy: a device or
// pipe, or a name of an open file, which may be a regular one (/dev/stdout, /proc/self/fd/1).
bool IsWrittenInto(const std::string& path) {
  std::error_code error;
  if (fs::is_other(fs::status(path, error))) return true;
  const std::string folder = fs::weakly_canonical(fs::absolute(path).parent_path(), error).string();
  return folder.compare(0, 6, "/proc/") == 0 || (folder == "/dev" && fs::is_symlink(path, error));
}

// Whether an open file is still what stands under the name.
bool IsNamed(int descriptor, const std::string& path) {
  struct stat open_file, named;
  return fstat(descriptor, &open_file) == 0 && stat(path.c_str(), &named) == 0 &&
         open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

// An empty file that nobody else writes; -1 and errno where there can be none. The lock ends with
// the descriptor. Who waited for it finds that the file before was renamed or removed, and tries
// again; not for ever, as a file system may have no lasting inode numbers.
int OpenLocked(const std::string& path) {
  for (int tries = 1000;; --tries) {
    const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0) return -1;
    while (flock(descriptor, LOCK_EX) != 0 && errno == EINTR) {
    }  // another error: a file system without locks
    if (tries <= 0 || IsNamed(descriptor, path)) {
      if (ftruncate(descriptor, 0) == 0) return descriptor;
      const int error = errno;
      close(descriptor);
      errno = error;
      return -1;
    }
    close(descriptor);
  }
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path)
    : path_(path),
      target_(WithoutLinks(path)),
      temporary_(target_ + ".tmp"),
      descriptor_(OpenLocked(temporary_)) {
  if (descriptor_ < 0) Fail();
}

AtomicFile::~AtomicFile() {
  if (!committed_) unlink(temporary_.c_str());  // under the lock: it is this file's own
  if (descriptor_ >= 0) close(descriptor_);
}

void AtomicFile::Write(const void* bytes, size_t size) {
  const char* next = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t written = write(descriptor_, next, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) Fail();
    next += written;
    size -= static_cast<size_t>(written);
  }
}

void AtomicFile::Commit() {
  if (fsync(descriptor_) != 0) Fail();
  // Closing may tell of an error, and must come first; the copy keeps the lock for the renaming.
  const int lock = dup(descriptor_);
  if (lock < 0) Fail();
  const int status = close(descriptor_);
  descriptor_ = lock;
  if (status != 0 || std::rename(temporary_.c_str(), target_.c_str()) != 0) Fail();
  committed_ = true;
  close(descriptor_);
  descriptor_ = -1;
}

void AtomicFile::Fail() const {
  throw Error(path_ + ": cannot be written: " + std::strerror(errno));
}

void WriteFile(const std::string& path, const std::string& text) {
  if (IsWrittenInto(path)) {
    errno = 0;
    std::ofstream stream(path, std::ios::app);
    stream << text;
    ENFORCE(stream.flush()) << path << ": cannot be written: " << std::strerror(errno);
    return;
  }
  AtomicFile file(path);
  file.Write(text.data(), text.size());
  file.Commit();
}

void CheckWritable(const std::string& path) {
  std::error_code ignored;
  ENFORCE(!fs::is_directory(path, ignored))
      << path << ": cannot be written: " << std::strerror(EISDIR);
  if (IsWrittenInto(path)) {
    ENFORCE(std::ofstream(path, std::ios::app))
        << path << ": cannot be written: " << std::strerror(errno);
  } else {
    const AtomicFile never_committed(path);
  }
}

}  // namespace caffe

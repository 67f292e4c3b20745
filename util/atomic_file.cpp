#include "util/atomic_file.hpp"

#include <fcntl.h>
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

}  // namespace

AtomicFile::AtomicFile(const std::string& path)
    : path_(path),
      target_(WithoutLinks(path)),
      temporary_(target_ + ".tmp"),
      descriptor_(open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0) Fail();
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!committed_) unlink(temporary_.c_str());
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
  const int status = close(descriptor_);
  descriptor_ = -1;
  if (status != 0 || std::rename(temporary_.c_str(), target_.c_str()) != 0) Fail();
  committed_ = true;
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

}  // namespace caffe

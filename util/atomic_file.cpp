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

AtomicFile::AtomicFile(const std::string& path)
    : path_(path),
      temporary_(path + ".tmp"),
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
  if (status != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) Fail();
  committed_ = true;
}

void AtomicFile::Fail() const {
  throw Error(path_ + ": cannot be written: " + std::strerror(errno));
}

void WriteFile(const std::string& path, const std::string& text) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (std::filesystem::is_other(status)) {
    errno = 0;
    std::ofstream stream(path);
    stream << text;
    ENFORCE(stream.flush()) << path << ": cannot be written: " << std::strerror(errno);
    return;
  }
  AtomicFile file(path);
  file.Write(text.data(), text.size());
  file.Commit();
}

}  // namespace caffe

#ifndef METAPERTURB_UTIL_ATOMIC_FILE_HPP_
#define METAPERTURB_UTIL_ATOMIC_FILE_HPP_

#include <cstddef>
#include <string>

namespace caffe {

/// A file that appears under its name whole or not at all: it is written as PATH.tmp, which Commit
/// renames. Without Commit that is removed and what stood under the name stays. Errors name the
/// file and say why it cannot be written.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void Write(const void* bytes, size_t size);
  void Commit();

 private:
  [[noreturn]] void Fail() const;

  const std::string path_, temporary_;
  int descriptor_;
  bool committed_ = false;
};

/// Makes the text the whole content of a file, by an AtomicFile. What stands under the name and is
/// no regular file (a pipe, /dev/stdout) is written into.
void WriteFile(const std::string& path, const std::string& text);

}  // namespace caffe

#endif  // METAPERTURB_UTIL_ATOMIC_FILE_HPP_

#ifndef METAPERTURB_UTIL_ATOMIC_FILE_HPP_
#define METAPERTURB_UTIL_ATOMIC_FILE_HPP_

#include <cstddef>
#include <string>

namespace caffe {

/// A file that appears under its name whole or not at all: it is written as PATH.tmp, which Commit
/// renames. Without Commit that is removed and what stood under the name stays. A symbolic link
/// stays one: what it points to is replaced. Of several programs or threads that write the same
/// path one waits for the other's Commit or end; the last one's file stays. Errors name the file
/// and say why it cannot be written.
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

  const std::string path_;
  const std::string target_, temporary_;  // target_: path_ without symbolic links
  int descriptor_;
  bool committed_ = false;
};

/// Makes the text the whole content of a file, by an AtomicFile. A device, a pipe, and an open file
/// by a name like /dev/stdout or /proc/self/fd/1 is written into.
void WriteFile(const std::string& path, const std::string& text);

/// Throws WriteFile's Error where the name cannot be written now; changes nothing.
void CheckWritable(const std::string& path);

}  // namespace caffe

#endif  // METAPERTURB_UTIL_ATOMIC_FILE_HPP_

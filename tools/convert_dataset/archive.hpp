#ifndef METAPERTURB_TOOLS_CONVERT_DATASET_ARCHIVE_HPP_
#define METAPERTURB_TOOLS_CONVERT_DATASET_ARCHIVE_HPP_

#include <cstdint>
#include <memory>
#include <string>

struct archive;
struct archive_entry;

namespace metaperturb {

/// Whether the file's name says that it is an archive: .zip, .tar, .tgz, .tar.gz, ...
bool IsArchive(const std::string& file);

/// Reads an archive's files in the order in which they lie there (libarchive). Throws caffe::Error
/// that names the archive where it is missing, truncated or damaged.
class ArchiveReader {
 public:
  explicit ArchiveReader(const std::string& file);

  /// Goes to the next file; false behind the last one.
  bool Next();
  /// Its path, without a leading "./".
  const std::string& path() const { return path_; }
  /// Its length as the archive tells it; -1 where it does not.
  int64_t size() const { return size_; }
  /// Links that were passed by, and the first one's path: their files are not read.
  int links() const { return links_; }
  const std::string& first_link() const { return first_link_; }
  /// Its bytes; once per file.
  std::string Bytes();

 private:
  [[noreturn]] void Fail() const;
  /// libarchive takes a tar that was cut between two files for whole. One that is compressed cannot
  /// be: its compression has an end of its own. (Behind zeros it reads on, so that a hole is found
  /// by the file after it.)
  void CheckEnd() const;

  const std::string file_;
  std::unique_ptr<archive, int (*)(archive*)> archive_;
  std::string path_;
  int64_t size_ = -1;
  int links_ = 0;
  std::string first_link_;
};

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_CONVERT_DATASET_ARCHIVE_HPP_

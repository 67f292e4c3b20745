#include "tools/convert_dataset/archive.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <boost/algorithm/string/predicate.hpp>
#include <fstream>
#include <vector>

#include "util/error.hpp"

namespace metaperturb {

namespace {

const size_t kBlock = 1 << 20;
const int kTarBlock = 512;

}  // namespace

bool IsArchive(const std::string& file) {
  std::string name = file;
  std::transform(name.begin(), name.end(), name.begin(), ::tolower);
  for (const char* end :
       {".zip", ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz"}) {
    if (boost::algorithm::ends_with(name, end)) return true;
  }
  return false;
}

ArchiveReader::ArchiveReader(const std::string& file)
    : file_(file), archive_(archive_read_new(), archive_read_free) {
  archive_read_support_filter_all(archive_.get());
  archive_read_support_format_tar(archive_.get());
  archive_read_support_format_zip(archive_.get());
  archive_read_set_option(archive_.get(), "tar", "read_concatenated_archives", "1");
  if (archive_read_open_filename(archive_.get(), file.c_str(), kBlock) != ARCHIVE_OK) Fail();
}

void ArchiveReader::Fail() const {
  const char* reason = archive_error_string(archive_.get());
  throw caffe::Error(file_ + ": " + (path_.empty() ? "" : "after '" + path_ + "': ") +
                     "is truncated or damaged, or no archive" +
                     (reason ? std::string(": ") + reason : ""));
}

void ArchiveReader::CheckEnd() const {
  if ((archive_format(archive_.get()) & ARCHIVE_FORMAT_BASE_MASK) != ARCHIVE_FORMAT_TAR) return;
  if (archive_filter_code(archive_.get(), 0) != ARCHIVE_FILTER_NONE) return;
  char last[kTarBlock] = {};
  std::ifstream stream(file_, std::ios::binary);
  stream.seekg(-kTarBlock, std::ios::end);
  ENFORCE(stream.read(last, kTarBlock) &&
          std::all_of(last, last + kTarBlock, [](char c) { return c == 0; }))
      << file_ << ": after '" << path_
      << "': is truncated: the blocks of zeros at a tar's end are missing";
}

bool ArchiveReader::Next() {
  archive_entry* entry = nullptr;
  for (;;) {
    const int status = archive_read_next_header(archive_.get(), &entry);
    if (status == ARCHIVE_EOF) {
      CheckEnd();
      return false;
    }
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) Fail();
    // In the C locale only one of them is there when the name is not ASCII.
    const char* name = archive_entry_pathname(entry);
    if (!name) name = archive_entry_pathname_utf8(entry);
    const bool is_link = archive_entry_hardlink(entry) || archive_entry_hardlink_utf8(entry) ||
                         archive_entry_filetype(entry) == AE_IFLNK;
    if (is_link && links_++ == 0 && name) first_link_ = name;
    if (is_link || archive_entry_filetype(entry) != AE_IFREG) continue;
    ENFORCE(name) << file_ << ": after '" << path_ << "': a file's name cannot be read";
    path_ = name;
    if (path_.compare(0, 2, "./") == 0) path_ = path_.substr(2);
    size_ = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : -1;
    return true;
  }
}

std::string ArchiveReader::Bytes() {
  std::string bytes;
  if (size_ > 0) bytes.reserve(static_cast<size_t>(size_));
  std::vector<char> buffer(64 << 10);
  for (;;) {
    const la_ssize_t got = archive_read_data(archive_.get(), buffer.data(), buffer.size());
    if (got == 0) break;
    if (got < 0) Fail();
    bytes.append(buffer.data(), static_cast<size_t>(got));
  }
  ENFORCE(size_ < 0 || bytes.size() == static_cast<size_t>(size_))
      << file_ << ": '" << path_ << "' is truncated: " << bytes.size() << " of " << size_
      << " bytes";
  return bytes;
}

}  // namespace metaperturb

#ifndef METAPERTURB_TOOLS_COMMON_LMDB_WRITER_HPP_
#define METAPERTURB_TOOLS_COMMON_LMDB_WRITER_HPP_

#include <filesystem>
#include <memory>
#include <string>

#include "caffe/util/db.hpp"

namespace metaperturb {

/// A folder that one run at a time has: made, and locked until the end. It is removed then if it is
/// empty. An Error where another run has it.
class LockedFolder {
 public:
  LockedFolder(const std::string& path, const std::string& output);
  ~LockedFolder();
  LockedFolder(const LockedFolder&) = delete;
  LockedFolder& operator=(const LockedFolder&) = delete;

 private:
  const std::string path_;
  int descriptor_ = -1;
};

/// Makes a new LMDB. The records are collected beside it, in OUTPUT.tmp/lmdb: it is there when
/// Finish returns, or not at all. An Error where it exists already, another run is writing it, or
/// the disk is full.
class LmdbWriter {
 public:
  explicit LmdbWriter(const std::string& output);
  ~LmdbWriter();
  LmdbWriter(const LmdbWriter&) = delete;
  LmdbWriter& operator=(const LmdbWriter&) = delete;

  void Put(const std::string& key, const std::string& value);
  void Finish();

 private:
  void Discard();

  const std::string output_;
  std::filesystem::path target_;
  std::unique_ptr<LockedFolder> folder_;
  std::string temporary_;
  std::unique_ptr<caffe::db::DB> db_;
  std::unique_ptr<caffe::db::Transaction> transaction_;
  int pending_ = 0;           // records since the last commit
  size_t pending_bytes_ = 0;  // and their length, which is kept in memory until then
};

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_COMMON_LMDB_WRITER_HPP_

#include "tools/common/lmdb_writer.hpp"

#include "util/error.hpp"

namespace metaperturb {

namespace fs = std::filesystem;

LmdbWriter::LmdbWriter(const std::string& output)
    : output_(output), target_(output), db_(caffe::db::GetDB("lmdb")) {
  if (!target_.has_filename()) target_ = target_.parent_path();  // a slash at its end
  ENFORCE(!fs::exists(target_)) << output << ": exists already";
  temporary_ = target_.string() + ".tmp";
  std::error_code error;
  fs::remove_all(temporary_, error);  // of a run that was killed
  db_->Open(temporary_, caffe::db::NEW);
  transaction_.reset(db_->NewTransaction());
}

LmdbWriter::~LmdbWriter() {
  if (!db_) return;
  transaction_.reset();
  db_->Close();
  std::error_code error;
  fs::remove_all(temporary_, error);
}

void LmdbWriter::Put(const std::string& key, const std::string& value) {
  const int kCommit = 1000;
  transaction_->Put(key, value);
  if (++pending_ < kCommit) return;
  transaction_->Commit();
  pending_ = 0;
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

#ifndef CAFFE_UTIL_DB_LMDB_HPP_
#define CAFFE_UTIL_DB_LMDB_HPP_

#include <memory>
#include <string>

#include "caffe/util/db.hpp"

struct MDB_env;

namespace caffe {
namespace db {

/// LMDB: a directory with data.mdb. Readers take no lock, so a read-only directory will do, and one
/// process may open a source several times; they all share one environment, as LMDB demands.
class LMDB : public DB {
 public:
  void Open(const string& source, Mode mode) override;
  void Close() override;
  Cursor* NewCursor() override;
  Transaction* NewTransaction() override;
  size_t size() override;
  ~LMDB() override { Close(); }

 private:
  string source_;
  std::shared_ptr<MDB_env> env_;
};

}  // namespace db
}  // namespace caffe

#endif  // CAFFE_UTIL_DB_LMDB_HPP_

#include "caffe/util/db.hpp"

#include "caffe/util/db_lmdb.hpp"

namespace caffe {
namespace db {

DB* GetDB(DataParameter::DB backend) {
  ENFORCE(backend == DataParameter_DB_LMDB)
      << "database backend " << DataParameter_DB_Name(backend)
      << " is not supported; say `backend: LMDB` (Caffe's default is LEVELDB)";
  return new LMDB();
}

DB* GetDB(const string& backend) {
  ENFORCE(backend == "lmdb") << "unknown database backend '" << backend << "'; lmdb is supported";
  return new LMDB();
}

}  // namespace db
}  // namespace caffe

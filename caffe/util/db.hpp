#ifndef CAFFE_UTIL_DB_HPP_
#define CAFFE_UTIL_DB_HPP_

#include <string>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {
namespace db {

enum Mode { READ, WRITE, NEW };

/// Walks over the records of a database in the order of their keys.
class Cursor {
 public:
  Cursor() {}
  virtual ~Cursor() {}
  virtual void SeekToFirst() = 0;
  virtual void Next() = 0;
  virtual string key() = 0;
  virtual string value() = 0;
  /// False behind the last record.
  virtual bool valid() = 0;
  /// Beyond Caffe's API: goes to the record of a key; not valid() where there is none.
  virtual void SeekToKey(const string&) { THROW_ERROR << "this database has no search by key"; }

  DISABLE_COPY_AND_ASSIGN(Cursor);
};

/// Collects records; Commit writes all of them or none.
class Transaction {
 public:
  Transaction() {}
  virtual ~Transaction() {}
  virtual void Put(const string& key, const string& value) = 0;
  virtual void Commit() = 0;

  DISABLE_COPY_AND_ASSIGN(Transaction);
};

/// A file of (key, value) records. Every function throws caffe::Error that names the source: a
/// missing, truncated or damaged database, one that exists where a new one is asked for, a full
/// disk.
class DB {
 public:
  DB() {}
  virtual ~DB() {}
  virtual void Open(const string& source, Mode mode) = 0;
  virtual void Close() = 0;
  virtual Cursor* NewCursor() = 0;
  virtual Transaction* NewTransaction() = 0;
  /// Number of records.
  virtual size_t size() = 0;

  DISABLE_COPY_AND_ASSIGN(DB);
};

/// Only LMDB is supported; another backend is an Error.
DB* GetDB(DataParameter::DB backend);
DB* GetDB(const string& backend);

}  // namespace db
}  // namespace caffe

#endif  // CAFFE_UTIL_DB_HPP_

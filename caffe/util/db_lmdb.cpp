#include "caffe/util/db_lmdb.hpp"

#include <lmdb.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "util/path_exists.hpp"

namespace caffe {
namespace db {

namespace {

void Check(int status, const string& source, const char* what) {
  // LMDB's word for a write that was cut short.
  struct statvfs system;
  if (status == EIO && statvfs(source.c_str(), &system) == 0 && system.f_bavail == 0) {
    status = ENOSPC;
  }
  ENFORCE(status == MDB_SUCCESS) << source << ": LMDB " << what << ": " << mdb_strerror(status);
}

// LMDB finds the second of its two headers by the page size in the first, and looks there
// unchecked.
void CheckPageSize(const string& source) {
  const size_t kMagic = 16, kVersion = 20, kPageSize = 40;  // places in a header of format 1
  char header[2][kPageSize + 4] = {};
  std::ifstream file(source + "/data.mdb", std::ios::binary);
  const auto number = [&header](int i, size_t at) {
    uint32_t value;
    std::memcpy(&value, header[i] + at, sizeof(value));
    return value;
  };
  if (!file.read(header[0], sizeof(header[0])) || number(0, kMagic) != 0xBEEFC0DE ||
      number(0, kVersion) != 1) {
    return;  // is told when it is opened
  }
  const uint32_t size = number(0, kPageSize);
  ENFORCE(size >= sizeof(header) && file.seekg(size) && file.read(header[1], sizeof(header[1])) &&
          number(1, kMagic) == 0xBEEFC0DE && number(1, kPageSize) == size)
      << source << ": data.mdb is damaged or truncated: there is no second header at byte " << size;
}

// A file that ends before the pages that LMDB's header promises would end the process with SIGBUS
// when they are touched.
void CheckLength(const string& source, MDB_env* env) {
  MDB_envinfo info;
  MDB_stat stat;
  Check(mdb_env_info(env, &info), source, "cannot be read");
  Check(mdb_env_stat(env, &stat), source, "cannot be read");
  const uintmax_t promised = uintmax_t(info.me_last_pgno + 1) * stat.ms_psize;
  const uintmax_t found = std::filesystem::file_size(source + "/data.mdb");
  ENFORCE(found >= promised) << source << ": data.mdb is truncated: " << found << " bytes of "
                             << promised;
}

// LMDB's own checks would end the process. The stack unwinds through it, which leaves the
// environment as it was where nothing is written.
void ThrowFailedAssertion(MDB_env* env, const char* message) {
  const char* path = "";
  mdb_env_get_path(env, &path);
  THROW_ERROR << path << ": LMDB is damaged: " << message;
}

std::shared_ptr<MDB_env> NewEnvironment(const string& source, unsigned int flags) {
  MDB_env* env;
  Check(mdb_env_create(&env), source, "cannot be opened");
  std::shared_ptr<MDB_env> owner(env, mdb_env_close);
  Check(mdb_env_open(env, source.c_str(), flags, 0644), source, "cannot be opened");
  return owner;
}

std::shared_ptr<MDB_env> SharedReader(const string& source) {
  static std::mutex mutex;
  static map<string, std::weak_ptr<MDB_env>> open;
  const std::lock_guard<std::mutex> lock(mutex);
  std::error_code ignored;
  const string key = std::filesystem::weakly_canonical(source, ignored).string();
  std::shared_ptr<MDB_env> env = open[key].lock();
  if (!env) {
    ENFORCE(PathExists(source + "/data.mdb"))
        << source << ": is no LMDB: there is no file data.mdb";
    ENFORCE(std::filesystem::file_size(source + "/data.mdb", ignored) > 0)
        << source << ": data.mdb is empty";
    CheckPageSize(source);
    env = NewEnvironment(source, MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS);
    mdb_env_set_assert(env.get(), ThrowFailedAssertion);
    CheckLength(source, env.get());
    open[key] = env;
  }
  return env;
}

// One transaction with the default database in it.
struct Session {
  Session(const string& source, MDB_env* env, unsigned int flags) {
    Check(mdb_txn_begin(env, nullptr, flags, &transaction), source, "cannot begin a transaction");
    const int status = mdb_dbi_open(transaction, nullptr, 0, &database);
    if (status != MDB_SUCCESS) mdb_txn_abort(transaction);
    Check(status, source, "cannot be opened");
  }
  MDB_txn* transaction;
  MDB_dbi database;
};

class LMDBCursor : public Cursor {
 public:
  LMDBCursor(const string& source, const std::shared_ptr<MDB_env>& env)
      : source_(source), env_(env), session_(source, env.get(), MDB_RDONLY) {
    Check(mdb_cursor_open(session_.transaction, session_.database, &cursor_), source_,
          "cannot be read");
    MDB_stat stat;
    Check(mdb_stat(session_.transaction, session_.database, &stat), source_, "cannot be read");
    page_size_ = stat.ms_psize;
    file_size_ = std::filesystem::file_size(source + "/data.mdb");
    try {
      SeekToFirst();
    } catch (const Error&) {
      Close();  // no destructor will
      throw;
    }
  }
  ~LMDBCursor() override { Close(); }
  void SeekToFirst() override { Seek(MDB_FIRST); }
  void Next() override { Seek(MDB_NEXT); }
  string key() override { return string(static_cast<const char*>(key_.mv_data), key_.mv_size); }
  string value() override {
    return string(static_cast<const char*>(value_.mv_data), value_.mv_size);
  }
  bool valid() override { return valid_; }
  void SeekToKey(const string& key) override {
    key_.mv_size = key.size();
    key_.mv_data = const_cast<char*>(key.data());
    Seek(MDB_SET_KEY);
  }

 private:
  void Seek(MDB_cursor_op op) {
    valid_ = false;
    const int status = mdb_cursor_get(cursor_, &key_, &value_, op);
    if (status == MDB_NOTFOUND) return;
    Check(status, source_, "cannot be read");
    ENFORCE(IsInFile(key_) && IsInFile(value_)) << source_ << ": LMDB is damaged";
    valid_ = true;
  }

  // LMDB believes the sizes that a page states. A page begins with its number, which tells where in
  // the file it is; keys and values begin on the (first) page that they belong to.
  bool IsInFile(const MDB_val& item) const {
    if (item.mv_size == 0) return true;  // it may stand where its page ends
    const size_t place = reinterpret_cast<uintptr_t>(item.mv_data) % page_size_;
    size_t number;
    std::memcpy(&number, static_cast<const char*>(item.mv_data) - place, sizeof number);
    return number < file_size_ / page_size_ &&
           item.mv_size <= file_size_ - number * page_size_ - place;
  }
  void Close() {
    mdb_cursor_close(cursor_);
    mdb_txn_abort(session_.transaction);
  }

  string source_;
  std::shared_ptr<MDB_env> env_;
  Session session_;
  MDB_cursor* cursor_;
  MDB_val key_, value_;
  size_t page_size_ = 0, file_size_ = 0;
  bool valid_ = false;
};

class LMDBTransaction : public Transaction {
 public:
  LMDBTransaction(const string& source, const std::shared_ptr<MDB_env>& env)
      : source_(source), env_(env) {}
  void Put(const string& key, const string& value) override { records_.emplace_back(key, value); }
  void Commit() override {
    int status = Write();
    // The map bounds the file's size; nothing is written while it is too small.
    while (status == MDB_MAP_FULL) {
      MDB_envinfo info;
      Check(mdb_env_info(env_.get(), &info), source_, "cannot be written");
      Check(mdb_env_set_mapsize(env_.get(), info.me_mapsize * 2), source_, "cannot grow");
      status = Write();
    }
    Check(status, source_, "cannot be written");
    records_.clear();
  }

 private:
  int Write() {
    Session session(source_, env_.get(), 0);
    for (auto& record : records_) {
      MDB_val key{record.first.size(), &record.first[0]};
      MDB_val value{record.second.size(), &record.second[0]};
      const int status = mdb_put(session.transaction, session.database, &key, &value, 0);
      if (status != MDB_SUCCESS) {
        mdb_txn_abort(session.transaction);
        return status;
      }
    }
    return mdb_txn_commit(session.transaction);
  }

  string source_;
  std::shared_ptr<MDB_env> env_;
  vector<pair<string, string>> records_;
};

}  // namespace

void LMDB::Open(const string& source, Mode mode) {
  source_ = source;
  if (mode == READ) {
    env_ = SharedReader(source);
    return;
  }
  if (mode == NEW) {
    ENFORCE(!PathExists(source)) << source << ": exists already";
    std::error_code error;
    std::filesystem::create_directories(source, error);
    ENFORCE(!error) << source << ": cannot be created: " << error.message();
  }
  // LMDB maps its lock file, and touching a map on a full disk would end the process with SIGBUS.
  // Nobody else knows a new database yet.
  env_ = NewEnvironment(source, mode == NEW ? MDB_NOLOCK : 0);
}

void LMDB::Close() {
  env_.reset();
}

Cursor* LMDB::NewCursor() {
  return new LMDBCursor(source_, env_);
}

Transaction* LMDB::NewTransaction() {
  return new LMDBTransaction(source_, env_);
}

size_t LMDB::size() {
  MDB_stat stat;
  Check(mdb_env_stat(env_.get(), &stat), source_, "cannot be read");
  return stat.ms_entries;
}

}  // namespace db
}  // namespace caffe

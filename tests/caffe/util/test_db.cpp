#include "caffe/util/db.hpp"

#include "testing/blob_util.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

using std::unique_ptr;
using testing::FullDisk;
using testing::WriteRecords;

class DbTest : public testing::TempDirTest {
 protected:
  static unique_ptr<db::DB> Open(const string& path, db::Mode mode = db::READ) {
    unique_ptr<db::DB> database(db::GetDB("lmdb"));
    database->Open(path, mode);
    return database;
  }
  // What is said where not all records of "db" can be read, else nothing.
  string ErrorOfReading() const {
    return testing::ErrorOf([this] {
      const auto database = Open(Path("db"));
      unique_ptr<db::Cursor> cursor(database->NewCursor());
      for (size_t sum = 0; cursor->valid(); cursor->Next()) sum += cursor->value().size();
    });
  }
};

TEST_F(DbTest, RoundTrip) {
  WriteRecords(Path("db"), {"a", "", string(9000, 'c')});
  const auto database = Open(Path("db"));
  EXPECT_EQ(database->size(), 3u);
  unique_ptr<db::Cursor> cursor(database->NewCursor());
  for (int round = 0; round < 2; ++round) {
    cursor->SeekToFirst();
    EXPECT_EQ(cursor->key(), "000");
    EXPECT_EQ(cursor->value(), "a");
    cursor->Next();
    EXPECT_EQ(cursor->value(), "");
    cursor->Next();
    EXPECT_EQ(cursor->value(), string(9000, 'c'));
    EXPECT_TRUE(cursor->valid());
    cursor->Next();
    EXPECT_FALSE(cursor->valid());
  }
}

TEST_F(DbTest, GrowsBeyondTheFirstMap) {
  WriteRecords(Path("db"), vector<string>(40, string(100000, 'x')));  // 4 MB; the map begins with 1
  EXPECT_EQ(Open(Path("db"))->size(), 40u);
}

TEST_F(DbTest, AppendsInWriteMode) {
  WriteRecords(Path("db"), {"a"});
  {
    const auto database = Open(Path("db"), db::WRITE);
    unique_ptr<db::Transaction> transaction(database->NewTransaction());
    transaction->Put("zzz", "b");
    transaction->Commit();
    transaction->Put("dropped", "never committed");
  }
  EXPECT_EQ(Open(Path("db"))->size(), 2u);
}

TEST_F(DbTest, SeveralReadersAndNoLockFile) {
  WriteRecords(Path("db"), {"a", "b"});
  std::filesystem::remove(Path("db/lock.mdb"));
  const auto first = Open(Path("db"));
  auto second = Open(Path("db/../db"));
  unique_ptr<db::Cursor> a(first->NewCursor()), b(second->NewCursor());
  b->Next();
  EXPECT_EQ(a->value(), "a");
  EXPECT_EQ(b->value(), "b");
  second.reset();
  EXPECT_EQ(b->value(), "b");  // a cursor keeps its environment
  EXPECT_FALSE(Exists("db/lock.mdb"));
}

TEST_F(DbTest, ChangedDatabaseIsReadAnew) {
  WriteRecords(Path("db"), {"a"});
  EXPECT_EQ(Open(Path("db"))->size(), 1u);
  std::filesystem::remove_all(Path("db"));
  WriteRecords(Path("db"), {"a", "b", "c"});
  EXPECT_EQ(Open(Path("db"))->size(), 3u);
}

TEST_F(DbTest, MissingTruncatedDamaged) {
  EXPECT_ERROR(Open(Path("none")), Path("none") + ": is no LMDB");
  EXPECT_ERROR(Open(Write("file", "x")), Path("file") + ": is no LMDB");
  WriteRecords(Path("db"), vector<string>(100, string(3000, 'x')));
  const string data = Path("db/data.mdb");
  const auto size = std::filesystem::file_size(data);
  const string bytes = Read("db/data.mdb");
  for (const auto cut : {size - 4096, size / 2, uintmax_t{8192}, uintmax_t{100}, uintmax_t{0}}) {
    std::filesystem::resize_file(data, cut);
    EXPECT_ERROR(Open(Path("db")), Path("db") + ": ");
  }
  Write("db/data.mdb", string(8192, '\1') + bytes.substr(8192));
  EXPECT_ERROR(Open(Path("db")), Path("db") + ": LMDB cannot be opened");
}

// The two headers, a byte at a time.
TEST_F(DbTest, DamagedHeaders) {
  WriteRecords(Path("db"), vector<string>(60, string(1200, 'x')));
  const string bytes = Read("db/data.mdb");
  int errors = 0;
  for (size_t page = 0; page < 2; ++page) {
    for (size_t at = page * 4096; at < page * 4096 + 160; ++at) {
      for (const char with : {'\xff', '\x01', '\x10'}) {
        string damaged = bytes;
        damaged[at] ^= with;
        Write("db/data.mdb", damaged);
        const string message = ErrorOfReading();
        if (message.empty()) continue;
        ++errors;
        EXPECT_EQ(message.find(Path("db") + ": "), 0u) << "byte " << at << ": " << message;
      }
    }
  }
  EXPECT_GT(errors, 20);
}

// Whatever a page holds, reading ends with the records or an error, not with a crash.
TEST_F(DbTest, DamagedPages) {
  WriteRecords(Path("db"), vector<string>(60, string(1200, 'x')));
  const string bytes = Read("db/data.mdb");
  int errors = 0;
  const vector<string> garbage = {string(4096, '\0'), string(4096, '\xff'), string(4096, '\x55')};
  for (size_t page = 2; page < bytes.size() / 4096; ++page) {
    for (const string& with : garbage) {
      Write("db/data.mdb", bytes);
      testing::Overwrite(Path("db/data.mdb"), page * 4096, with);
      const string message = ErrorOfReading();
      if (message.empty()) continue;
      ++errors;
      EXPECT_EQ(message.find(Path("db") + ": "), 0u) << message;
    }
  }
  EXPECT_GT(errors, 10);
}

TEST_F(DbTest, ExistingIsNotOverwritten) {
  WriteRecords(Path("db"), {"a"});
  EXPECT_ERROR(Open(Path("db"), db::NEW), Path("db") + ": exists already");
  EXPECT_EQ(Open(Path("db"))->size(), 1u);
  EXPECT_ERROR(Open(Write("file", "") + "/db", db::NEW), Path("file/db") + ": cannot be created");
}

TEST_F(DbTest, FullDiskIsAnError) {
  const auto database = Open(Path("db"), db::NEW);
  unique_ptr<db::Transaction> transaction(database->NewTransaction());
  for (int i = 0; i < 50; ++i) transaction->Put(std::to_string(i), string(10000, 'x'));
  const FullDisk full(100000);
  EXPECT_ERROR(transaction->Commit(), Path("db") + ": LMDB cannot be written");
}

TEST_F(DbTest, OnlyLmdb) {
  EXPECT_ERROR(db::GetDB("leveldb"), "leveldb");
  EXPECT_ERROR(db::GetDB(DataParameter_DB_LEVELDB), "backend: LMDB");
  unique_ptr<db::DB> database(db::GetDB(DataParameter_DB_LMDB));
  EXPECT_TRUE(database);
}

}  // namespace
}  // namespace caffe

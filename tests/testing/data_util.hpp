#ifndef METAPERTURB_TESTS_TESTING_DATA_UTIL_HPP_
#define METAPERTURB_TESTS_TESTING_DATA_UTIL_HPP_

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "caffe/util/db.hpp"
#include "caffe/util/format.hpp"
#include "caffe/util/io.hpp"

namespace caffe {
namespace testing {

/// A temporary directory, removed at the end of the test, and what tests do with files in it.
class TempDirTest : public ::testing::Test {
 protected:
  TempDirTest() { MakeTempDir(&directory_); }
  ~TempDirTest() override { std::filesystem::remove_all(directory_); }

  string Path(const string& name) const { return directory_ + "/" + name; }
  bool Exists(const string& name) const { return std::filesystem::exists(Path(name)); }
  string Write(const string& name, const string& bytes) const {
    std::ofstream(Path(name), std::ios::binary) << bytes;
    return Path(name);
  }
  string Read(const string& name) const {
    std::ifstream file(Path(name), std::ios::binary);
    return string(std::istreambuf_iterator<char>(file), {});
  }
  /// Runs "BIN/tool arguments" in the directory; output_ is what it printed, the exit code is
  /// returned.
  int Run(const string& tool, const string& arguments) {
    const string command = "cd " + directory_ + " && " + METAPERTURB_BIN_DIR + "/" + tool + " " +
                           arguments + " >tool.log 2>&1";
    const int status = std::system(command.c_str());
    output_ = Read("tool.log");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  /// Exit code 1, and one line "ERROR: ..." at the end with each of `parts`.
  void ExpectToolError(const string& tool, const string& arguments, const vector<string>& parts) {
    EXPECT_EQ(Run(tool, arguments), 1) << output_;
    const size_t error = output_.find("ERROR: ");
    ASSERT_NE(error, string::npos) << output_;
    EXPECT_EQ(output_.find('\n', error), output_.size() - 1) << output_;
    for (const string& part : parts) {
      EXPECT_NE(output_.find(part, error), string::npos) << part << " is not in: " << output_;
    }
  }

  string directory_;
  string output_;
};

/// While it lives no file of this process can grow beyond `bytes`: writing fails as on a full disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_;
};

/// An image of bytes: value(i) = start + i, modulo 256.
inline Datum ByteDatum(int channels, int height, int width, int label, int start = 0) {
  Datum datum;
  datum.set_channels(channels);
  datum.set_height(height);
  datum.set_width(width);
  datum.set_label(label);
  for (int i = 0; i < channels * height * width; ++i) {
    datum.mutable_data()->push_back(static_cast<char>(start + i));
  }
  return datum;
}

/// A new LMDB with the records, keys "000", "001", ...
inline void WriteRecords(const string& path, const vector<string>& records) {
  std::unique_ptr<db::DB> database(db::GetDB("lmdb"));
  database->Open(path, db::NEW);
  std::unique_ptr<db::Transaction> transaction(database->NewTransaction());
  for (size_t i = 0; i < records.size(); ++i) {
    transaction->Put(format_int(static_cast<int>(i), 3), records[i]);
  }
  transaction->Commit();
}

inline void WriteDatums(const string& path, const vector<Datum>& datums) {
  vector<string> records;
  for (const Datum& datum : datums) records.push_back(datum.SerializeAsString());
  WriteRecords(path, records);
}

/// A Data layer's definition.
inline string DataLayerText(const string& source, int batch, const string& transform,
                            const string& data, const string& phase) {
  return "name: 'data' type: 'Data' phase: " + phase + " transform_param { " + transform +
         " } data_param { backend: LMDB source: '" + source +
         "' batch_size: " + std::to_string(batch) + " " + data + " }";
}

/// All records of an LMDB, and their keys.
inline vector<pair<string, Datum>> ReadDatums(const string& path) {
  std::unique_ptr<db::DB> database(db::GetDB("lmdb"));
  database->Open(path, db::READ);
  std::unique_ptr<db::Cursor> cursor(database->NewCursor());
  vector<pair<string, Datum>> records;
  for (; cursor->valid(); cursor->Next()) {
    Datum datum;
    EXPECT_TRUE(datum.ParseFromString(cursor->value()));
    records.emplace_back(cursor->key(), datum);
  }
  return records;
}

/// Overwrites bytes of a file where they are.
inline void Overwrite(const string& file, std::streamoff at, const string& bytes) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(at);
  stream << bytes;
}

}  // namespace testing
}  // namespace caffe

#endif  // METAPERTURB_TESTS_TESTING_DATA_UTIL_HPP_

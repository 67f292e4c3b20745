#include "solvers/meta_state_file.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "util/error.hpp"

namespace caffe {

namespace {

// Protobuf's wire types.
enum { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

string Varint(uint64_t value) {
  string bytes;
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

// The top level of a message in a file, field by field.
class FieldReader {
 public:
  explicit FieldReader(const string& path) : path_(path) {
    errno = 0;
    file_.open(path, std::ios::binary);
    std::error_code error;
    left_ = std::filesystem::file_size(path, error);
    ENFORCE(file_.good() && !error)
        << path << ": cannot be read: " << (error ? error.message() : std::strerror(errno));
  }

  /// False at the end.
  bool Next() {
    if (left_ == 0) return false;
    raw_.clear();
    const uint64_t tag = ReadVarint();
    field_ = static_cast<int>(tag >> 3);
    content_ = 0;
    switch (tag & 7) {
      case kVarint:
        ReadVarint();
        break;
      case kFixed64:
        ReadBytes(8);
        break;
      case kFixed32:
        ReadBytes(4);
        break;
      case kBytes: {
        const uint64_t length = ReadVarint();
        content_ = raw_.size();
        ReadBytes(length);
        break;
      }
      default:
        Fail();
    }
    return true;
  }
  int field() const { return field_; }
  /// The field with its tag, and of a message what is in it.
  const string& raw() const { return raw_; }
  const char* content() const { return raw_.data() + content_; }
  size_t size() const { return raw_.size() - content_; }
  [[noreturn]] void Fail() const {
    throw Error(path_ + ": is damaged, or no state of a meta-training run");
  }

 private:
  void ReadBytes(uint64_t count) {
    ENFORCE(count <= left_) << path_ << ": is truncated, or no state of a meta-training run";
    const size_t before = raw_.size();
    raw_.resize(before + count);
    if (!file_.read(&raw_[before], static_cast<std::streamsize>(count))) Fail();
    left_ -= count;
  }
  uint64_t ReadVarint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      ReadBytes(1);
      const auto byte = static_cast<unsigned char>(raw_.back());
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    Fail();
  }

  const string path_;
  std::ifstream file_;
  uint64_t left_ = 0;
  string raw_;
  int field_ = 0;
  size_t content_ = 0;
};

}  // namespace

MetaStateWriter::MetaStateWriter(const string& file, const MetaSolverState& head)
    : path_(file), file_(file) {
  Write(head.SerializeAsString());
}

void MetaStateWriter::Write(const string& bytes) {
  crc_.process_bytes(bytes.data(), bytes.size());
  file_.Write(bytes.data(), bytes.size());
}

void MetaStateWriter::AddTask(const MetaSolverState::Task& task) {
  string bytes;
  ENFORCE(task.ByteSizeLong() < INT_MAX && task.SerializeToString(&bytes))
      << path_ << ": the state of task '" << task.name() << "' exceeds 2 GiB";
  Write(Varint(MetaSolverState::kTaskFieldNumber << 3 | kBytes) + Varint(bytes.size()));
  Write(bytes);
}

void MetaStateWriter::Finish(MetaSolverState rest) {
  const string bytes = rest.SerializeAsString();
  crc_.process_bytes(bytes.data(), bytes.size());
  rest.set_checksum(crc_.checksum());
  const string with_checksum = rest.SerializeAsString();
  file_.Write(with_checksum.data(), with_checksum.size());
  file_.Commit();
}

MetaSolverState ReadMetaState(const string& file, const std::function<bool(int)>& wanted) {
  FieldReader reader(file);
  MetaSolverState state;
  string rest;
  boost::crc_32_type crc;
  vector<MetaSolverState::Task> tasks;
  while (reader.Next()) {
    if (reader.field() == MetaSolverState::kChecksumFieldNumber) {
      rest += reader.raw();
      continue;
    }
    crc.process_bytes(reader.raw().data(), reader.raw().size());
    if (reader.field() != MetaSolverState::kTaskFieldNumber) {
      rest += reader.raw();
      continue;
    }
    MetaSolverState::Task task;
    if (reader.size() > INT_MAX ||
        !task.ParseFromArray(reader.content(), static_cast<int>(reader.size()))) {
      reader.Fail();
    }
    tasks.emplace_back();
    if (wanted(static_cast<int>(tasks.size()) - 1)) {
      tasks.back().Swap(&task);
    } else {
      tasks.back().set_name(task.name());
    }
  }
  if (!state.ParseFromString(rest)) reader.Fail();
  ENFORCE(state.has_iter() && state.has_phi()) << file << ": is no state of a meta-training run";
  ENFORCE(state.has_checksum() && state.checksum() == crc.checksum())
      << file << ": is damaged: its checksum does not fit";
  state.clear_checksum();
  for (MetaSolverState::Task& task : tasks) state.add_task()->Swap(&task);
  return state;
}

}  // namespace caffe

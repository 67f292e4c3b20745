#include "util/event_file.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <unistd.h>

#include <boost/crc.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <memory>

#include "util/error.hpp"

namespace caffe {

namespace {

namespace pb = google::protobuf::io;

// Message fields by hand: each is its number and wire type, then its content.
enum WireType { kVarint = 0, k64Bit = 1, kBytes = 2, k32Bit = 5 };

class Fields {
 public:
  Fields() : raw_(&bytes_), stream_(new pb::CodedOutputStream(&raw_)) {}
  Fields& Integer(int field, int64_t value) {
    Tag(field, kVarint);
    stream_->WriteVarint64(static_cast<uint64_t>(value));
    return *this;
  }
  Fields& Double(int field, double value) {
    uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    Tag(field, k64Bit);
    stream_->WriteLittleEndian64(bits);
    return *this;
  }
  Fields& Float(int field, float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    Tag(field, k32Bit);
    stream_->WriteLittleEndian32(bits);
    return *this;
  }
  Fields& Bytes(int field, const std::string& value) {
    Tag(field, kBytes);
    stream_->WriteVarint32(static_cast<uint32_t>(value.size()));
    stream_->WriteString(value);
    return *this;
  }
  std::string Finish() {
    stream_.reset();
    return bytes_;
  }

 private:
  void Tag(int field, WireType type) { stream_->WriteVarint32(field << 3 | type); }

  std::string bytes_;
  pb::StringOutputStream raw_;
  std::unique_ptr<pb::CodedOutputStream> stream_;
};

std::string LittleEndian(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * i & 0xFF);
  return text;
}

// TFRecord's masked CRC-32C.
std::string MaskedCrc(const std::string& bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc32c;
  crc32c.process_bytes(bytes.data(), bytes.size());
  const uint32_t crc = crc32c.checksum();
  return LittleEndian(static_cast<uint32_t>((crc >> 15 | crc << 17) + 0xA282EAD8u), 4);
}

double WallTime() {
  using std::chrono::duration;
  using std::chrono::system_clock;
  return duration<double>(system_clock::now().time_since_epoch()).count();
}

}  // namespace

EventFile::EventFile(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  ENFORCE(!error) << folder << ": cannot be made: " << error.message();
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  path_ = folder + "/events.out.tfevents." + std::to_string(static_cast<int64_t>(WallTime())) +
          "." + host + "." + std::to_string(getpid());
  errno = 0;
  file_.open(path_, std::ios::binary);
  const bool good = WriteRecord(Fields().Double(1, WallTime()).Bytes(3, "brain.Event:2").Finish());
  ENFORCE(good) << path_ << ": cannot be written: " << std::strerror(errno);
}

bool EventFile::WriteRecord(const std::string& event) {
  const std::string length = LittleEndian(event.size(), 8);
  file_ << length << MaskedCrc(length) << event << MaskedCrc(event) << std::flush;
  return file_.good();
}

bool EventFile::Write(int64_t step, const Scalars& scalars) {
  Fields summary;
  for (const auto& scalar : scalars) {
    summary.Bytes(
        1, Fields().Bytes(1, scalar.first).Float(2, static_cast<float>(scalar.second)).Finish());
  }
  return WriteRecord(
      Fields().Double(1, WallTime()).Integer(2, step).Bytes(5, summary.Finish()).Finish());
}

}  // namespace caffe

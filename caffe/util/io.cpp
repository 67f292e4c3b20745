#include "caffe/util/io.hpp"
#include "util/atomic_file.hpp"
#include "util/first_complaint.hpp"
#include "util/temporary_folder.hpp"

#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/text_format.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <random>

namespace caffe {

namespace {

namespace pb = google::protobuf;

class File {
 public:
  explicit File(const string& name) : descriptor_(open(name.c_str(), O_RDONLY)) {
    ENFORCE(descriptor_ >= 0) << name << ": cannot be opened: " << std::strerror(errno);
  }
  ~File() { close(descriptor_); }
  int descriptor() const { return descriptor_; }

 private:
  const int descriptor_;
};

// Editors of other systems begin a text with U+FEFF in UTF-8, which no parser here knows.
void SkipByteOrderMark(int descriptor) {
  char begin[3];
  if (pread(descriptor, begin, 3, 0) == 3 && std::memcmp(begin, "\xEF\xBB\xBF", 3) == 0) {
    lseek(descriptor, 3, SEEK_SET);
  }
}

// libjpeg makes up what is missing from a file that ends early. Segments carry their length (a
// thumbnail in one of them has an end marker of its own); the scans that follow end with FF D9.
bool IsTruncatedJpeg(const string& bytes) {
  const auto at = [&bytes](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (bytes.size() < 4 || at(0) != 0xFF || at(1) != 0xD8) return false;
  size_t i = 2;
  while (i + 4 <= bytes.size() && at(i) == 0xFF && at(i + 1) != 0xDA) {
    i += at(i + 1) == 0xFF ? 1 : 2 + (at(i + 2) << 8 | at(i + 3));
  }
  return bytes.find("\xFF\xD9", i) == string::npos;
}

cv::Mat Decode(const string& bytes, int flags) {
  cv::Mat image = TryDecode(bytes, flags);
  ENFORCE(!image.empty()) << "the encoded image cannot be decoded (" << bytes.size() << " bytes)";
  return image;
}

bool HasExtension(const string& filename, const string& extension) {
  const auto normal = [](string name) {
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return name == ".jpeg" ? string(".jpg") : name;
  };
  return normal(std::filesystem::path(filename).extension().string()) == normal("." + extension);
}

bool ReadBytes(const string& filename, string* bytes) {
  std::ifstream file(filename, std::ios::binary);
  ostringstream content;
  // A directory opens, but cannot be read.
  if (!file || !(content << file.rdbuf())) return false;
  *bytes = content.str();
  return true;
}

}  // namespace

cv::Mat TryDecode(const string& bytes, int flags) {
  if (bytes.empty() || bytes.size() > INT_MAX || IsTruncatedJpeg(bytes)) return cv::Mat();
  const cv::Mat buffer(1, static_cast<int>(bytes.size()), CV_8UC1, const_cast<char*>(bytes.data()));
  try {
    return cv::imdecode(buffer, flags);
  } catch (const cv::Exception&) {  // a header with absurd extents
    return cv::Mat();
  }
}

string WhyNoImage(const string& filename) {
  errno = 0;
  string bytes;
  if (ReadBytes(filename, &bytes)) {
    return "cannot be decoded (" + std::to_string(bytes.size()) + " bytes)";
  }
  return string("cannot be read") + (errno != 0 ? string(": ") + std::strerror(errno) : "");
}

bool ReadProtoFromTextFile(const string& filename, Message* proto) {
  const File file(filename);
  SkipByteOrderMark(file.descriptor());
  pb::io::FileInputStream input(file.descriptor());
  FirstComplaint complaint;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&complaint);
  const bool parsed = parser.Parse(&input, proto);
  ENFORCE(input.GetErrno() == 0) << filename
                                 << ": cannot be read: " << std::strerror(input.GetErrno());
  ENFORCE(parsed) << filename << ":"
                  << (complaint.text().empty() ? " cannot be read" : complaint.text());
  return true;
}

bool ReadProtoFromBinaryFile(const string& filename, Message* proto) {
  const File file(filename);
  pb::io::FileInputStream raw(file.descriptor());
  pb::io::CodedInputStream coded(&raw);
  coded.SetTotalBytesLimit(INT_MAX);
  const bool parsed = proto->ParseFromCodedStream(&coded) && coded.ConsumedEntireMessage();
  ENFORCE(raw.GetErrno() == 0) << filename << ": cannot be read: " << std::strerror(raw.GetErrno());
  ENFORCE(parsed) << filename << ": is truncated, or no " << proto->GetDescriptor()->name();
  return true;
}

void WriteProtoToTextFile(const Message& proto, const string& filename) {
  string text;
  CHECK(pb::TextFormat::PrintToString(proto, &text));
  WriteFile(filename, text);
}

void WriteProtoToBinaryFile(const Message& proto, const string& filename) {
  string bytes;
  ENFORCE(proto.SerializeToString(&bytes)) << filename << ": message exceeds 2 GiB";
  WriteFile(filename, bytes);
}

void MakeTempDir(string* temp_dirname) {
  string pattern = (TemporaryFolder() / "caffe_XXXXXX").string();
  ENFORCE(mkdtemp(&pattern[0])) << pattern << ": cannot be created: " << std::strerror(errno);
  *temp_dirname = pattern;
}

void MakeTempFilename(string* temp_filename) {
  string directory;
  MakeTempDir(&directory);
  *temp_filename = directory + "/file";
}

bool ReadFileToDatum(const string& filename, int label, Datum* datum) {
  string bytes;
  if (!ReadBytes(filename, &bytes)) return false;
  datum->set_data(bytes);
  datum->set_label(label);
  datum->set_encoded(true);
  return true;
}

cv::Mat ReadImageToCVMat(const string& filename, int height, int width, bool is_color) {
  string bytes;
  if (!ReadBytes(filename, &bytes)) return cv::Mat();
  const cv::Mat image = TryDecode(bytes, is_color ? cv::IMREAD_COLOR : cv::IMREAD_GRAYSCALE);
  if (image.empty() || height <= 0 || width <= 0) return image;
  cv::Mat resized;
  cv::resize(image, resized, cv::Size(width, height));
  return resized;
}

cv::Mat ReadImageToCVMat(const string& filename, int height, int width) {
  return ReadImageToCVMat(filename, height, width, true);
}

cv::Mat ReadImageToCVMat(const string& filename, bool is_color) {
  return ReadImageToCVMat(filename, 0, 0, is_color);
}

cv::Mat ReadImageToCVMat(const string& filename) {
  return ReadImageToCVMat(filename, 0, 0, true);
}

bool ReadImageToDatum(const string& filename, int label, int height, int width, bool is_color,
                      const string& encoding, Datum* datum) {
  const cv::Mat image = ReadImageToCVMat(filename, height, width, is_color);
  if (image.empty()) return false;
  if (encoding.empty()) {
    CVMatToDatum(image, datum);
    datum->set_label(label);
    return true;
  }
  datum->Clear();
  // A file that is already what is wanted stays as it is: compressing it anew could only lose.
  if (height <= 0 && width <= 0 && HasExtension(filename, encoding)) {
    string bytes;
    const cv::Mat native =
        ReadBytes(filename, &bytes) ? TryDecode(bytes, cv::IMREAD_UNCHANGED) : cv::Mat();
    if (native.type() == image.type()) return ReadFileToDatum(filename, label, datum);
  }
  vector<uchar> bytes;
  ENFORCE(cv::haveImageWriter("x." + encoding)) << "unknown image encoding '" << encoding << "'";
  for (const char* of_floats : {"exr", "hdr", "pfm", "pic"}) {
    ENFORCE(!HasExtension("x." + encoding, of_floats))
        << "image encoding '" << encoding << "' is not of 8 bits";
  }
  bool is_encoded = false;
  string reason;
  try {
    is_encoded = cv::imencode("." + encoding, image, bytes);
  } catch (const cv::Exception& e) {
    reason = ": " + e.err;
  }
  ENFORCE(is_encoded) << "image '" << filename << "', " << image.cols << "x" << image.rows
                      << " with " << image.channels() << " channels, cannot be encoded as '"
                      << encoding << "'" << reason;
  datum->set_data(string(bytes.begin(), bytes.end()));
  datum->set_encoded(true);
  datum->set_label(label);
  return true;
}

cv::Mat DecodeDatumToCVMatNative(const Datum& datum) {
  return Decode(datum.data(), cv::IMREAD_UNCHANGED);
}

cv::Mat DecodeDatumToCVMat(const Datum& datum, bool is_color) {
  return Decode(datum.data(), is_color ? cv::IMREAD_COLOR : cv::IMREAD_GRAYSCALE);
}

bool DecodeDatumNative(Datum* datum) {
  if (!datum->encoded()) return false;
  CVMatToDatum(DecodeDatumToCVMatNative(*datum), datum);
  return true;
}

bool DecodeDatum(Datum* datum, bool is_color) {
  if (!datum->encoded()) return false;
  CVMatToDatum(DecodeDatumToCVMat(*datum, is_color), datum);
  return true;
}

void CVMatToDatum(const cv::Mat& image, Datum* datum) {
  ENFORCE(image.depth() == CV_8U) << "an image of 8 bits per channel is expected";
  const int channels = image.channels();
  const size_t area = size_t(image.rows) * image.cols;
  datum->set_channels(channels);
  datum->set_height(image.rows);
  datum->set_width(image.cols);
  datum->clear_data();
  datum->clear_float_data();
  datum->set_encoded(false);
  // Interleaved pixels become planes.
  string planes(size_t(channels) * area, '\0');
  for (int h = 0; h < image.rows; ++h) {
    const uchar* row = image.ptr<uchar>(h);
    for (int w = 0; w < image.cols; ++w) {
      for (int c = 0; c < channels; ++c) {
        planes[c * area + size_t(h) * image.cols + w] = static_cast<char>(*row++);
      }
    }
  }
  datum->set_data(planes);
}

}  // namespace caffe

#include "tools/common/dataset_writer.hpp"

#include <zlib.h>

#include <algorithm>
#include <climits>
#include <map>
#include <memory>
#include <numeric>
#include <opencv2/imgproc.hpp>

#include "caffe/util/format.hpp"
#include "caffe/util/rng.hpp"
#include "tools/common/lmdb_writer.hpp"

namespace metaperturb {

std::vector<int> ParseClasses(const std::string& text) {
  std::vector<int> classes;
  std::stringstream stream(text);
  std::string item;
  while (std::getline(stream, item, ',')) {
    char* end = nullptr;
    const long value = std::strtol(item.c_str(), &end, 10);
    ENFORCE(!item.empty() && *end == '\0' && value >= 0 && value <= INT_MAX)
        << "--classes " << text << ": '" << item << "' is no class";
    ENFORCE(std::find(classes.begin(), classes.end(), value) == classes.end())
        << "--classes " << text << ": class " << value << " is given twice";
    classes.push_back(static_cast<int>(value));
  }
  return classes;
}

int NewLabel(const Subset& subset, int label) {
  if (subset.classes.empty()) return label;
  const auto found = std::find(subset.classes.begin(), subset.classes.end(), label);
  return found == subset.classes.end() ? -1 : static_cast<int>(found - subset.classes.begin());
}

std::vector<int> Select(const std::vector<int>& labels, const Subset& subset) {
  std::vector<int> order(labels.size());
  std::iota(order.begin(), order.end(), 0);
  caffe::PhiloxEngine engine(caffe::PhiloxKey(subset.seed, 0));
  caffe::shuffle(order.begin(), order.end(), &engine);
  std::map<int, int> seen;
  std::vector<int> chosen;
  for (const int i : order) {
    if (NewLabel(subset, labels[i]) < 0) continue;
    const int rank = seen[labels[i]]++ - subset.skip_per_class;
    if (rank >= 0 && (subset.per_class == 0 || rank < subset.per_class)) chosen.push_back(i);
  }
  const int least = subset.may_be_fewer ? 0 : subset.skip_per_class + std::max(1, subset.per_class);
  for (const int label : subset.classes) {
    ENFORCE(seen[label] >= least) << "class " << label << " has " << seen[label] << " images where "
                                  << least << " are asked for";
  }
  ENFORCE(!chosen.empty()) << "of " << labels.size() << " images none is left when "
                           << subset.skip_per_class << " per class are left out";
  return chosen;
}

const size_t kLongestKey = 511;  // of LMDB

void WriteLmdb(const std::string& output, int count, const std::function<caffe::Datum(int)>& record,
               int log_every, const std::function<std::string(int)>& name) {
  LmdbWriter writer(output);
  for (int i = 0; i < count; ++i) {
    std::string key = caffe::format_int(i, 8) + (name ? "_" + name(i) : "");
    if (key.size() > kLongestKey) key.resize(kLongestKey);  // the number alone makes it its own
    writer.Put(key, record(i).SerializeAsString());
    if ((i + 1) % log_every == 0 || i + 1 == count) {
      LOG(INFO) << output << ": Processed " << i + 1 << " of " << count << " files.";
    }
  }
  writer.Finish();
}

void ResizeTo(int size, const cv::Mat& image, cv::Mat* out) {
  const bool shrinks = size <= image.rows && size <= image.cols;
  cv::resize(image, *out, cv::Size(size, size), 0, 0, shrinks ? cv::INTER_AREA : cv::INTER_LINEAR);
}

void Resize(int size, caffe::Datum* datum) {
  if (size == 0 || (datum->height() == size && datum->width() == size)) return;
  const int h = datum->height(), w = datum->width(), channels = datum->channels();
  std::string resized(size_t(channels) * size * size, '\0');
  for (int c = 0; c < channels; ++c) {
    const cv::Mat plane(h, w, CV_8UC1, &(*datum->mutable_data())[size_t(c) * h * w]);
    cv::Mat out(size, size, CV_8UC1, &resized[size_t(c) * size * size]);
    ResizeTo(size, plane, &out);
  }
  datum->set_data(resized);
  datum->set_height(size);
  datum->set_width(size);
}

void Pad(int pad, caffe::Datum* datum) {
  if (pad == 0) return;
  const int h = datum->height(), w = datum->width();
  ENFORCE(pad <= (kMaxExtent - std::max(h, w)) / 2)
      << "--pad=" << pad << ": images of " << h << " x " << w << " would exceed " << kMaxExtent
      << " pixels";
  const int wide_h = h + 2 * pad, wide_w = w + 2 * pad;
  std::string wide(size_t(datum->channels()) * wide_h * wide_w, '\0');
  for (int c = 0; c < datum->channels(); ++c) {
    for (int y = 0; y < h; ++y) {
      std::copy_n(datum->data().begin() + (size_t(c) * h + y) * w, w,
                  wide.begin() + (size_t(c) * wide_h + y + pad) * wide_w + pad);
    }
  }
  datum->set_data(wide);
  datum->set_height(wide_h);
  datum->set_width(wide_w);
}

std::string MaybeGunzip(const std::string& name, std::string bytes) {
  if (bytes.compare(0, 2, "\x1f\x8b") != 0) return bytes;
  z_stream stream = {};
  ENFORCE(inflateInit2(&stream, MAX_WBITS + 16) == Z_OK) << name << ": zlib fails";  // 16: gzip
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(&bytes[0]);
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string unpacked;
  std::vector<char> buffer(1 << 20);
  int status;
  do {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    status = inflate(&stream, Z_NO_FLUSH);
    ENFORCE(status == Z_OK || status == Z_STREAM_END) << name << ": is truncated or damaged";
    unpacked.append(buffer.data(), buffer.size() - stream.avail_out);
  } while (status != Z_STREAM_END);
  return unpacked;
}

std::string ReadMaybeGzip(const std::string& file) {
  // zlib reads files that are not compressed as they are.
  std::unique_ptr<gzFile_s, int (*)(gzFile)> in(gzopen(file.c_str(), "rb"), gzclose);
  ENFORCE(in) << file << ": cannot be opened";
  std::string bytes;
  std::vector<char> buffer(1 << 20);
  int got;
  while ((got = gzread(in.get(), buffer.data(), static_cast<unsigned>(buffer.size()))) > 0) {
    bytes.append(buffer.data(), got);
  }
  int status = Z_OK;
  gzerror(in.get(), &status);
  ENFORCE(got == 0 && (status == Z_OK || status == Z_STREAM_END))
      << file << ": is truncated or damaged";
  return bytes;
}

}  // namespace metaperturb

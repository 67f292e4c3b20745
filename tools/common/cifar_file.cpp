#include "tools/common/cifar_file.hpp"

#include "util/error.hpp"

namespace metaperturb {

namespace {

const size_t kPlane = 32 * 32;

}  // namespace

void CifarRecords::Add(const std::string& name, const std::string& content) {
  const size_t record = label_bytes() + 3 * kPlane, at = kind_ == CIFAR100_FINE ? 1 : 0;
  const int classes = kind_ == CIFAR10 ? 10 : kind_ == CIFAR100_FINE ? 100 : 20;
  ENFORCE(!content.empty() && content.size() % record == 0)
      << name << ": is truncated, or no " << (kind_ == CIFAR10 ? "CIFAR-10" : "CIFAR-100")
      << " file: " << content.size() << " bytes are no multiple of " << record
      << (kind_ == CIFAR10 ? " (CIFAR-100 has records of 3074)" : "");
  for (size_t i = 0; i < content.size(); i += record) {
    labels_.push_back(static_cast<uint8_t>(content[i + at]));
    ENFORCE(labels_.back() < classes)
        << name << ": record " << i / record << " has label " << labels_.back() << " where 0 to "
        << classes - 1 << " are expected";
  }
  bytes_ += content;
}

caffe::Datum CifarRecords::Image(int i) const {
  const size_t red = i * (label_bytes() + 3 * kPlane) + label_bytes();
  caffe::Datum datum;
  datum.set_channels(3);
  datum.set_height(32);
  datum.set_width(32);
  datum.set_data(bytes_.substr(red + 2 * kPlane, kPlane) + bytes_.substr(red + kPlane, kPlane) +
                 bytes_.substr(red, kPlane));
  return datum;
}

}  // namespace metaperturb

#include "tools/common/idx_file.hpp"

#include "util/error.hpp"

namespace metaperturb {

namespace {

uint32_t BigEndian(const std::string& file, const std::string& bytes, size_t at) {
  ENFORCE(bytes.size() >= at + 4) << file << ": is truncated: " << bytes.size() << " bytes";
  uint32_t value = 0;
  for (size_t i = at; i < at + 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

}  // namespace

IdxFile::IdxFile(const std::string& name, std::string content, int axes)
    : bytes(std::move(content)) {
  const uint32_t magic = BigEndian(name, bytes, 0), expected = 0x800 + axes;  // bytes: type 8
  ENFORCE(magic == expected) << name << ": magic number " << magic << " where " << expected
                             << " is expected";
  size_t size = 1;
  for (int i = 0; i < axes; ++i) {
    extent.push_back(static_cast<int>(BigEndian(name, bytes, 4 + 4 * i)));
    // Files are shorter than 2^40 bytes, products of damaged numbers may be 0 again.
    ENFORCE(extent.back() >= 0 && double(size) * extent.back() < double(size_t{1} << 40))
        << name << ": is damaged: axis " << i << " of " << axes << " has "
        << static_cast<uint32_t>(extent.back()) << " values";
    size *= extent.back();
  }
  data = 4 + 4 * axes;
  ENFORCE(bytes.size() == data + size)
      << name << (bytes.size() < data + size ? ": is truncated: " : ": is too long: ")
      << bytes.size() << " bytes where " << data + size << " are expected";
}

IdxImages::IdxImages(const std::string& images_name, std::string images_content,
                     const std::string& labels_name, std::string labels_content)
    : images(images_name, std::move(images_content), 3) {
  ENFORCE(images.extent[1] > 0 && images.extent[2] > 0)
      << images_name << ": images of " << images.extent[1] << " x " << images.extent[2]
      << " pixels";
  const IdxFile file(labels_name, std::move(labels_content), 1);
  ENFORCE(images.extent[0] == file.extent[0])
      << images_name << " has " << images.extent[0] << " images, " << labels_name << " "
      << file.extent[0] << " labels";
  for (int i = 0; i < file.extent[0]; ++i) {
    labels.push_back(static_cast<uint8_t>(file.bytes[file.data + i]));
  }
}

caffe::Datum IdxImages::Image(int i) const {
  const size_t size = size_t(images.extent[1]) * images.extent[2];
  caffe::Datum datum;
  datum.set_channels(1);
  datum.set_height(images.extent[1]);
  datum.set_width(images.extent[2]);
  datum.set_data(images.bytes.substr(images.data + i * size, size));
  return datum;
}

}  // namespace metaperturb

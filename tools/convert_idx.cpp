// convert_idx: images and labels in the IDX format of MNIST and Fashion-MNIST -> LMDB.
//   convert_idx --images=train-images-idx3-ubyte.gz --labels=train-labels-idx1-ubyte.gz
//   --output=train_lmdb
// Records are shuffled; --classes, --per_class and --skip_per_class take a part of them. --resize
// and
// --pad change the images' size.

#include "tools/common/subset_flags.hpp"

DEFINE_string(images, "", "IDX file with the images (magic number 0x803), plain or gzip");
DEFINE_string(labels, "", "IDX file with the labels (magic number 0x801), plain or gzip");
DEFINE_string(output, "", "The LMDB to write; it must not exist");

namespace {

uint32_t BigEndian(const std::string& file, const std::string& bytes, size_t at) {
  ENFORCE(bytes.size() >= at + 4) << file << ": is truncated: " << bytes.size() << " bytes";
  uint32_t value = 0;
  for (size_t i = at; i < at + 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

// An IDX file of bytes with the given number of axes: their extents, and where the values begin.
struct Idx {
  Idx(const std::string& name, uint32_t axes) : bytes(metaperturb::ReadMaybeGzip(name)) {
    const uint32_t magic = BigEndian(name, bytes, 0);
    ENFORCE(magic == 0x800 + axes)
        << name << ": magic number " << magic << " where " << 0x800 + axes << " is expected";
    size_t size = 1;
    for (uint32_t i = 0; i < axes; ++i) {
      extent.push_back(static_cast<int>(BigEndian(name, bytes, 4 + 4 * i)));
      size *= extent.back();
    }
    data = 4 + 4 * axes;
    ENFORCE(bytes.size() == data + size) << name << ": is truncated: " << bytes.size()
                                         << " bytes where " << data + size << " are expected";
  }
  std::string bytes;
  std::vector<int> extent;
  size_t data = 0;
};

void Convert() {
  ENFORCE(!FLAGS_images.empty()) << "--images is not given";
  ENFORCE(!FLAGS_labels.empty()) << "--labels is not given";
  ENFORCE(!FLAGS_output.empty()) << "--output is not given";
  const Idx images(FLAGS_images, 3), labels(FLAGS_labels, 1);
  ENFORCE(images.extent[0] == labels.extent[0])
      << FLAGS_images << " has " << images.extent[0] << " images, " << FLAGS_labels << " "
      << labels.extent[0] << " labels";
  std::vector<int> label;
  for (int i = 0; i < labels.extent[0]; ++i) {
    label.push_back(static_cast<uint8_t>(labels.bytes[labels.data + i]));
  }
  const int height = images.extent[1], width = images.extent[2], size = height * width;
  metaperturb::WriteSubset(FLAGS_output, label, [&](int i) {
    caffe::Datum datum;
    datum.set_channels(1);
    datum.set_height(height);
    datum.set_width(width);
    datum.set_data(images.bytes.substr(images.data + size_t(i) * size, size));
    return datum;
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    gflags::SetUsageMessage(
        "Converts IDX files (MNIST, Fashion-MNIST) to LMDB: --images --labels --output");
    caffe::GlobalInit(&argc, &argv);
    Convert();
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "ERROR: " << e.what() << std::endl;
    return 1;
  }
}

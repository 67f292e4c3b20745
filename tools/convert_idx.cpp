// convert_idx: images and labels in the IDX format of MNIST and Fashion-MNIST -> LMDB.
//   convert_idx --images=train-images-idx3-ubyte.gz --labels=train-labels-idx1-ubyte.gz
//   --output=train_lmdb
// Records are shuffled; --classes, --per_class and --skip_per_class take a part of them.

#include "tools/common/dataset_writer.hpp"

DEFINE_string(images, "", "IDX file with the images (magic number 0x803), plain or gzip");
DEFINE_string(labels, "", "IDX file with the labels (magic number 0x801), plain or gzip");
DEFINE_string(output, "", "The LMDB to write; it must not exist");
DEFINE_int32(pad, 0, "Zero pixels to add on each side");
DEFINE_string(classes, "", "Classes to keep, as in 0,2,5; they become 0, 1, 2. Default: all");
DEFINE_int32(per_class, 0, "Images to take of each class; 0: all");
DEFINE_int32(skip_per_class, 0, "Images to leave out of each class before");
DEFINE_int32(seed, 1, "Of the order of the records");

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
  ENFORCE(FLAGS_pad >= 0 && FLAGS_per_class >= 0 && FLAGS_skip_per_class >= 0)
      << "--pad, --per_class and --skip_per_class must not be negative";
  metaperturb::Subset subset;
  subset.classes = metaperturb::ParseClasses(FLAGS_classes);
  subset.per_class = FLAGS_per_class;
  subset.skip_per_class = FLAGS_skip_per_class;
  subset.seed = static_cast<uint64_t>(FLAGS_seed);
  const Idx images(FLAGS_images, 3), labels(FLAGS_labels, 1);
  ENFORCE(images.extent[0] == labels.extent[0])
      << FLAGS_images << " has " << images.extent[0] << " images, " << FLAGS_labels << " "
      << labels.extent[0] << " labels";
  std::vector<int> label;
  for (int i = 0; i < labels.extent[0]; ++i) {
    label.push_back(static_cast<uint8_t>(labels.bytes[labels.data + i]));
  }
  const std::vector<int> chosen = metaperturb::Select(label, subset);
  const int height = images.extent[1], width = images.extent[2], size = height * width;
  metaperturb::WriteLmdb(FLAGS_output, static_cast<int>(chosen.size()), [&](int i) {
    caffe::Datum datum;
    datum.set_channels(1);
    datum.set_height(height);
    datum.set_width(width);
    datum.set_data(images.bytes.substr(images.data + size_t(chosen[i]) * size, size));
    datum.set_label(metaperturb::NewLabel(subset, label[chosen[i]]));
    metaperturb::Pad(FLAGS_pad, &datum);
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

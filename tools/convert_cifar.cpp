// convert_cifar: the binary version of CIFAR-10 and CIFAR-100 -> LMDB.
//   convert_cifar --input=data_batch_1.bin,data_batch_2.bin --output=train_lmdb
//   convert_cifar --input=train.bin --label=fine --output=train_lmdb         (CIFAR-100)
// A record is its label (one byte; in CIFAR-100 two, coarse and fine) and 3x32x32 bytes, red first;
// it is stored in Caffe's order of the channels, blue first. Records are shuffled; --classes,
// --per_class and --skip_per_class take a part of them. --resize and --pad change the images' size.

#include "tools/common/subset_flags.hpp"

DEFINE_string(input, "", "Files (.bin), separated by commas, plain or gzip");
DEFINE_string(output, "", "The LMDB to write; it must not exist");
DEFINE_string(label, "", "fine or coarse, for CIFAR-100; leave it out for CIFAR-10");

namespace {

const size_t kPlane = 32 * 32;

void Convert() {
  ENFORCE(!FLAGS_input.empty()) << "--input is not given";
  ENFORCE(!FLAGS_output.empty()) << "--output is not given";
  ENFORCE(FLAGS_label.empty() || FLAGS_label == "fine" || FLAGS_label == "coarse")
      << "--label=" << FLAGS_label << ": fine or coarse, for CIFAR-100";
  const bool hundred = !FLAGS_label.empty();
  const size_t labels = hundred ? 2 : 1, at = FLAGS_label == "fine" ? 1 : 0;
  const int classes = !hundred ? 10 : FLAGS_label == "fine" ? 100 : 20;
  const size_t record = labels + 3 * kPlane;
  std::string bytes;
  std::vector<int> label;
  std::stringstream files(FLAGS_input);
  for (std::string file; std::getline(files, file, ',');) {
    const std::string content = metaperturb::ReadMaybeGzip(file);
    ENFORCE(!content.empty() && content.size() % record == 0)
        << file << ": is truncated, or no " << (hundred ? "CIFAR-100" : "CIFAR-10")
        << " file: " << content.size() << " bytes are no multiple of " << record
        << (hundred ? "" : " (for CIFAR-100 give --label)");
    for (size_t i = 0; i < content.size(); i += record) {
      label.push_back(static_cast<uint8_t>(content[i + at]));
      ENFORCE(label.back() < classes)
          << file << ": record " << i / record << " has label " << label.back() << " where 0 to "
          << classes - 1 << " are expected";
    }
    bytes += content;
  }
  metaperturb::WriteSubset(FLAGS_output, label, [&](int i) {
    caffe::Datum datum;
    datum.set_channels(3);
    datum.set_height(32);
    datum.set_width(32);
    const size_t red = i * record + labels;
    datum.set_data(bytes.substr(red + 2 * kPlane, kPlane) + bytes.substr(red + kPlane, kPlane) +
                   bytes.substr(red, kPlane));
    return datum;
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    gflags::SetUsageMessage(
        "Converts the binary version of CIFAR-10 and CIFAR-100 to LMDB: --input --output");
    caffe::GlobalInit(&argc, &argv);
    Convert();
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "ERROR: " << e.what() << std::endl;
    return 1;
  }
}

// convert_idx: images and labels in the IDX format of MNIST and Fashion-MNIST -> LMDB.
//   convert_idx --images=train-images-idx3-ubyte.gz --labels=train-labels-idx1-ubyte.gz
//               --output=train_lmdb
// Records are shuffled; --classes, --per_class and --skip_per_class take a part of them. --resize
// and --pad change the images' size.

#include "tools/common/idx_file.hpp"
#include "tools/common/subset_flags.hpp"

DEFINE_string(images, "", "IDX file with the images (magic number 0x803), plain or gzip");
DEFINE_string(labels, "", "IDX file with the labels (magic number 0x801), plain or gzip");
DEFINE_string(output, "", "The LMDB to write; it must not exist");

namespace {

void Convert() {
  ENFORCE(!FLAGS_images.empty()) << "--images is not given";
  ENFORCE(!FLAGS_labels.empty()) << "--labels is not given";
  ENFORCE(!FLAGS_output.empty()) << "--output is not given";
  using metaperturb::ReadMaybeGzip;
  const metaperturb::IdxImages set(FLAGS_images, ReadMaybeGzip(FLAGS_images), FLAGS_labels,
                                   ReadMaybeGzip(FLAGS_labels));
  metaperturb::WriteSubset(FLAGS_output, set.labels, [&](int i) { return set.Image(i); });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    gflags::SetUsageMessage(
        "Converts IDX files (MNIST, Fashion-MNIST) to LMDB: --images --labels --output");
    caffe::GlobalInit(&argc, &argv);
    ENFORCE(argc == 1) << "unexpected argument '" << argv[1] << "'";
    Convert();
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "ERROR: " << e.what() << std::endl;
    return 1;
  }
}

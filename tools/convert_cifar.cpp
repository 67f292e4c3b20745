// convert_cifar: the binary version of CIFAR-10 and CIFAR-100 -> LMDB.
//   convert_cifar --input=data_batch_1.bin,data_batch_2.bin --output=train_lmdb
//   convert_cifar --input=train.bin --label=fine --output=train_lmdb         (CIFAR-100)
// A record is its label (one byte; in CIFAR-100 two, coarse and fine) and 3x32x32 bytes, red first;
// it is stored in Caffe's order of the channels, blue first. Records are shuffled; --classes,
// --per_class and --skip_per_class take a part of them. --resize and --pad change the images' size.

#include "tools/common/cifar_file.hpp"
#include "tools/common/subset_flags.hpp"
#include "util/comma_list.hpp"

DEFINE_string(input, "", "Files (.bin), separated by commas, plain or gzip");
DEFINE_string(output, "", "The LMDB to write; it must not exist");
DEFINE_string(label, "", "fine or coarse, for CIFAR-100; leave it out for CIFAR-10");

namespace {

void Convert() {
  ENFORCE(!FLAGS_input.empty()) << "--input is not given";
  ENFORCE(!FLAGS_output.empty()) << "--output is not given";
  ENFORCE(FLAGS_label.empty() || FLAGS_label == "fine" || FLAGS_label == "coarse")
      << "--label=" << FLAGS_label << ": fine or coarse, for CIFAR-100";
  typedef metaperturb::CifarRecords Records;
  Records records(FLAGS_label.empty()     ? Records::CIFAR10
                  : FLAGS_label == "fine" ? Records::CIFAR100_FINE
                                          : Records::CIFAR100_COARSE);
  for (const std::string& file : caffe::SplitAtCommas(FLAGS_input)) {
    records.Add(file, metaperturb::ReadMaybeGzip(file));
  }
  metaperturb::WriteSubset(FLAGS_output, records.labels(), [&](int i) { return records.Image(i); });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    gflags::SetUsageMessage(
        "Converts the binary version of CIFAR-10 and CIFAR-100 to LMDB: --input --output");
    caffe::GlobalInit(&argc, &argv);
    ENFORCE(argc == 1) << "unexpected argument '" << argv[1] << "'";
    Convert();
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "ERROR: " << e.what() << std::endl;
    return 1;
  }
}

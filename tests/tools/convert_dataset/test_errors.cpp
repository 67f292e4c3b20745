#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "testing/convert_dataset_test.hpp"

namespace caffe {
namespace {

class ConvertDatasetErrors : public testing::ConvertDatasetTest {};

TEST_F(ConvertDatasetErrors, Errors) {
  ExpectToolError("convert_dataset", "--source=x --output=e", {"--dataset is not given"});
  ExpectToolError("convert_dataset", "--dataset=cifar10 --output=e", {"--source is not given"});
  ExpectToolError("convert_dataset", "--dataset=cifar10 --source=x", {"--output is not given"});
  ExpectToolError("convert_dataset", "--dataset=cifar1 --source=x --output=e",
                  {"--dataset=cifar1 is not known (did you mean 'cifar10'?)"});
  ExpectToolError("convert_dataset", "--dataset=cifar10 --source=x.tar --output=e",
                  {"x.tar: does not exist"});
  Write("x.tar", "this is no archive");
  ExpectToolError("convert_dataset", "--dataset=cifar10 --source=x.tar --output=e",
                  {"x.tar: is truncated or damaged, or no archive"});
  ExpectToolError("convert_dataset", "--dataset=cifar10 --source=x.tar --output=e --size=0",
                  {"--size=0"});
  ExpectToolError("convert_dataset", "--dataset=cifar10 --source=x.tar --output=e --size=100000",
                  {"--size=100000: must not exceed 16384"});
  ExpectToolError("convert_dataset", "--dataset=cifar10 --source=x.tar, y.tar --output=e",
                  {"unexpected argument 'y.tar'"});
  ExpectToolError("convert_dataset",
                  "--dataset=cifar10 --source=x.tar --output=e --classes=4294967299",
                  {"'4294967299' is no class"});
  WriteCifar10();
  ExpectToolError("convert_dataset",
                  "--dataset=cifar10 --source=cifar.tar.gz --output=pad --pad=2147483647",
                  {"--pad=2147483647: images of 32 x 32 would exceed 16384 pixels"});
  const string archive = Read("cifar.tar.gz");
  Write("half.tar.gz", archive.substr(0, archive.size() / 2));
  ExpectToolError("convert_dataset", "--dataset=cifar10 --source=half.tar.gz --output=e",
                  {"half.tar.gz: ", "is truncated or damaged"});
  Shell("gunzip -c cifar.tar.gz > whole.tar");
  const string whole = Read("whole.tar");
  Write("cut.tar", whole.substr(0, (whole.find_last_not_of('\0') / 512 + 1) * 512));
  ExpectToolError("convert_dataset", "--dataset=cifar10 --source=cut.tar --output=e",
                  {"cut.tar: after 'cifar-10-batches-bin/",
                   "': is truncated: the blocks of zeros at a tar's end are missing"});
  Shell("mkdir file && cp cifar.tar.gz file/");
  Write("taken", "");
  ExpectToolError("convert_dataset", "--dataset=cifar10 --source=cifar.tar.gz --output=taken",
                  {"taken: cannot be made"});
  Shell("mkdir busy");
  const int busy = open(Path("busy").c_str(), O_RDONLY);
  ASSERT_EQ(0, flock(busy, LOCK_EX));
  ExpectToolError("convert_dataset", "--dataset=cifar10 --source=cifar.tar.gz --output=busy",
                  {"busy: another run is writing it"});
  close(busy);
  EXPECT_FALSE(Exists("busy/settings.txt"));
  {
    testing::FullDisk full(64 << 10);
    ExpectToolError("convert_dataset", "--dataset=cifar10 --source=cifar.tar.gz --output=full",
                    {"full/test_lmdb"});
  }
  EXPECT_FALSE(Exists("full/test_lmdb"));
  EXPECT_FALSE(Exists("e"));
  ASSERT_EQ(Run("convert_dataset", "--list"), 0);
  EXPECT_NE(output_.find("s_svhn: --size=32 --pad=4 --per_class=500"), string::npos) << output_;
}

TEST_F(ConvertDatasetErrors, OtherVersionsOfCifar) {
  WriteIn("cifar-10-batches-py/batches.meta", "");
  ExpectToolError(
      "convert_dataset", "--dataset=cifar10 --source=cifar-10-batches-py --output=e",
      {"cifar-10-batches-py: this is the Python version; only the binary one can be read: "
       "cifar-10-binary.tar.gz"});
  WriteIn("cifar-100-matlab/meta.mat", "");
  ExpectToolError("convert_dataset", "--dataset=s_cifar100 --source=cifar-100-matlab --output=e",
                  {"cifar-100-matlab: this is the Matlab version; only the binary one can be read: "
                   "cifar-100-binary.tar.gz"});
  Shell("mkdir empty");
  ExpectToolError("convert_dataset", "--dataset=cifar10 --source=empty --output=e",
                  {"empty: there is no file 'batches.meta.txt'"});
}

}  // namespace
}  // namespace caffe

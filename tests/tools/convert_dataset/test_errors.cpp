#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>

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

// What the user has in the folder is neither overwritten nor taken for an earlier run's.
TEST_F(ConvertDatasetErrors, FoldersOfOthers) {
  WriteCifar10();
  const string convert = "--dataset=cifar10 --source=cifar.tar.gz --output=";
  for (const char* file : {"a/labels.txt", "b/settings.txt", "c/train_lmdb/data.mdb"}) {
    WriteIn(file, "mine");
    ExpectToolError("convert_dataset", convert + string(file, 1),
                    {string(file).substr(0, 5), "earlier run; give another --output"});
    EXPECT_EQ(Read(file), "mine");
  }
  WriteImage("images/x/1.png", 5);
  ExpectToolError("convert_dataset", "--dataset=folder --source=images/ --output=images",
                  {"--output=images: is the --source"});
  EXPECT_FALSE(Exists("images/settings.txt"));
  ExpectToolError("convert_dataset", "--dataset=folder --source=images --output=images/x",
                  {"--output=images/x: is part of --source=images"});
  WriteImage("lines/one\ntwo/1.png", 5);
  ExpectToolError("convert_dataset", "--dataset=folder --source=lines --output=e",
                  {"class 'one...': a line break"});
}

TEST_F(ConvertDatasetErrors, TarsWithHolesAndLinks) {
  for (int i = 0; i < 6; ++i)
    WriteImage("t/" + string(1, "ab"[i % 2]) + "/" + std::to_string(i) + ".png", 9 * i);
  Shell(
      "tar cf whole.tar --sort=name t && cp whole.tar hole.tar && tar cf one.tar t/a && tar cf "
      "two.tar t/b"
      " && cat one.tar two.tar > both.tar && ln -s 0.png t/a/7.png && ln t/a/0.png t/a/8.png && "
      "tar cf links.tar t");
  const string convert = "--dataset=folder --size=8 --pad=0 --source=";
  string bytes = Read("hole.tar");
  const size_t header = bytes.find("t/a/4.png");
  ASSERT_NE(header, string::npos);
  std::fill_n(bytes.begin() + header, 512, '\0');
  Write("hole.tar", bytes);
  ExpectToolError("convert_dataset", convert + "hole.tar --output=e", {"hole.tar: ", "damaged"});
  ASSERT_EQ(Run("convert_dataset", convert + "both.tar --output=both"), 0) << output_;
  EXPECT_EQ(Centres("train", 8, 3, "both").at(1).size(), 3u);
  EXPECT_EQ(output_.find("left out"), string::npos) << output_;
  ASSERT_EQ(Run("convert_dataset", convert + "links.tar --output=links"), 0) << output_;
  EXPECT_NE(output_.find("links.tar: links left out: 2, the first 't/a/"), string::npos) << output_;
  EXPECT_EQ(Centres("train", 8, 3, "links").at(0).size(), 3u);
}

// With classes named, too, one that has fewer images than asked for keeps what it has.
TEST_F(ConvertDatasetErrors, NamedClassesWithFewImages) {
  for (int i = 0; i < 4; ++i) WriteImage("a/train/cat/" + std::to_string(i) + ".png", i);
  WriteImage("a/train/dog/0.png", 7);
  WriteImage("a/test/cat/0.png", 8);
  const string convert = "--dataset=folder --source=a --size=8 --pad=0 ";
  ASSERT_EQ(Run("convert_dataset", convert + "--output=out --classes=1,0 --per_class=2"), 0)
      << output_;
  EXPECT_NE(output_.find("class 'dog' has 1 images to train on; --per_class is 2"), string::npos)
      << output_;
  EXPECT_EQ(Centres("train", 8).at(0).size(), 1u);
  EXPECT_EQ(Centres("train", 8).at(1).size(), 2u);
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

#include "testing/convert_dataset_test.hpp"

namespace caffe {
namespace {

class FolderDatasets : public testing::ConvertDatasetTest {};

TEST_F(FolderDatasets, TinyImagenet) {
  WriteIn("t/wnids.txt", "n02\nn01\n");
  WriteIn("t/words.txt", "n01\tgoldfish\n");
  for (int i = 0; i < 3; ++i) {
    WriteImage("t/train/n01/images/n01_" + std::to_string(i) + ".JPEG", 10 + i);
    WriteImage("t/train/n02/images/n02_" + std::to_string(i) + ".JPEG", 100 + i);
  }
  WriteIn("t/train/n01/n01_boxes.txt", "n01_0.JPEG\t0\t0\t1\t1\n");
  WriteImage("t/val/images/val_0.JPEG", 50);
  WriteIn("t/val/val_annotations.txt", "val_0.JPEG\tn02\t0\t0\t1\t1\n");
  Shell("tar czf tiny.tar.gz t");
  const string command = "--dataset=tiny_imagenet --size=8 --pad=1 ";
  ASSERT_EQ(Run("convert_dataset", command + "--source=tiny.tar.gz --output=out"), 0) << output_;
  EXPECT_EQ(Centres("train", 10), (Expected{{0, {10, 11, 12}}, {1, {100, 101, 102}}}));
  EXPECT_EQ(Centres("test", 10), (Expected{{1, {50}}}));
  ASSERT_EQ(Run("convert_dataset", command + "--source=t --output=folder"), 0) << output_;
  const auto a = testing::ReadDatums(Path("out/train_lmdb"));
  const auto b = testing::ReadDatums(Path("folder/train_lmdb"));
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].first, b[i].first);
    EXPECT_EQ(a[i].second.SerializeAsString(), b[i].second.SerializeAsString());
  }
  // What is damaged or missing is named, and nothing half made stays.
  WriteIn("t/train/n02/images/n02_1.JPEG", Read("t/train/n02/images/n02_1.JPEG").substr(0, 20));
  ExpectToolError("convert_dataset", command + "--source=t --output=e",
                  {"t/train/n02/images/n02_1.JPEG: is truncated or cannot be decoded (20 bytes)"});
  EXPECT_FALSE(Exists("e/train_lmdb"));
  EXPECT_FALSE(Exists("e/train_lmdb.tmp"));
  EXPECT_FALSE(Exists("e/labels.txt"));
  std::filesystem::remove(Path("t/val/images/val_0.JPEG"));
  ExpectToolError("convert_dataset", command + "--source=t --output=e2",
                  {"t/val/val_annotations.txt: names 'val/images/val_0.JPEG'"});
}

TEST_F(FolderDatasets, DescribableTextures) {
  string train, val, test;
  for (const char* name : {"banded", "woven"}) {
    const int base = name[0] == 'b' ? 10 : 100;
    for (int i = 0; i < 3; ++i) {
      const string file = string(name) + "/" + name + "_000" + std::to_string(i) + ".jpg";
      WriteImage("dtd/images/" + file, base + i);
      (i == 0 ? train : i == 1 ? val : test) += file + "\n";
    }
  }
  WriteIn("dtd/labels/train1.txt", train);
  WriteIn("dtd/labels/val1.txt", val);
  WriteIn("dtd/labels/test1.txt", test);
  Shell("tar czf dtd-r1.0.1.tar.gz dtd");
  ASSERT_EQ(
      Run("convert_dataset", "--dataset=dtd --source=dtd-r1.0.1.tar.gz --output=out --size=8"), 0)
      << output_;
  EXPECT_EQ(Centres("train", 24), (Expected{{0, {10, 11}}, {1, {100, 101}}}));
  EXPECT_EQ(Centres("test", 24), (Expected{{0, {12}}, {1, {102}}}));
  EXPECT_EQ(Read("out/labels.txt"), "banded\nwoven\n");

  // An image that is listed twice counts twice, from an archive as from a folder.
  std::filesystem::remove_all(Path("out"));
  WriteIn("dtd/labels/train1.txt", train + train.substr(0, train.find('\n') + 1));
  Shell("tar czf dtd-r1.0.1.tar.gz dtd");
  ASSERT_EQ(
      Run("convert_dataset", "--dataset=dtd --source=dtd-r1.0.1.tar.gz --output=out --size=8"), 0)
      << output_;
  EXPECT_EQ(Centres("train", 24), (Expected{{0, {10, 10, 11}}, {1, {100, 101}}}));
}

TEST_F(FolderDatasets, OmniglotSetsATestPartApart) {
  for (int drawing = 0; drawing < 20; ++drawing) {
    for (int character = 1; character <= 2; ++character) {
      WriteImage("images_background/Greek/character0" + std::to_string(character) + "/0" +
                     std::to_string(400 + drawing) + ".png",
                 100 * (character - 1) + drawing);
    }
  }
  // The same drawing in a second folder counts once.
  WriteImage("images_evaluation/Greek/character01/0400.png", 0);
  Expected test;
  const string flags = "--dataset=omniglot --source=. --size=8 --pad=0 --per_class=10 --output=";
  for (int seed = 1; seed <= 2; ++seed) {
    const string output = "out" + std::to_string(seed);
    ASSERT_EQ(Run("convert_dataset", flags + output + " --seed=" + std::to_string(seed)), 0)
        << output_;
    const Expected train = Centres("train", 8, 1, output);
    if (seed == 1) test = Centres("test", 8, 1, output);
    EXPECT_EQ(Centres("test", 8, 1, output), test);
    for (int label = 0; label < 2; ++label) {
      EXPECT_EQ(test.at(label).size(), 5u);
      EXPECT_EQ(train.at(label).size(), 10u);
      for (const int value : test.at(label)) EXPECT_EQ(train.at(label).count(value), 0u);
    }
  }
  EXPECT_EQ(Read("out1/labels.txt"), "Greek/character01\nGreek/character02\n");
  ASSERT_EQ(Run("convert_dataset",
                "--dataset=omniglot --source=images_background --size=8 --pad=0 --color "
                "--output=color"),
            0)
      << output_;
  EXPECT_EQ(Centres("test", 8, 3, "color"), test);
  // What was made within the source is no part of it.
  ASSERT_EQ(Run("convert_dataset", flags + "out1 --seed=1"), 0) << output_;
  EXPECT_NE(output_.find("out1: is complete already"), string::npos) << output_;
}

TEST_F(FolderDatasets, AnyFolder) {
  for (int i = 0; i < 6; ++i) {
    WriteImage("a/pets/cat/x" + std::to_string(i) + ".png", 10 + i);
    WriteImage("a/pets/dog/deep/y" + std::to_string(i) + ".PNG", 100 + i);
  }
  WriteIn("a/pets/cat/notes.md", "not an image");
  ASSERT_EQ(Run("convert_dataset",
                "--dataset=folder --source=a --output=out --size=8 --pad=0 --test_per_class=2"),
            0)
      << output_;
  EXPECT_EQ(output_.find("left out"), string::npos) << output_;
  const auto train = Centres("train", 8), test = Centres("test", 8);
  EXPECT_EQ(train.at(0).size(), 4u);
  EXPECT_EQ(train.at(1).size(), 4u);
  EXPECT_EQ(test.at(1).size(), 2u);
  for (const int value : test.at(0)) EXPECT_EQ(train.at(0).count(value), 0u);

  // A folder of the same name with other files is another source.
  WriteImage("b/a/pets/cat/x.png", 10, 14);
  ExpectToolError("convert_dataset",
                  "--dataset=folder --source=b/a --output=out --size=8 --pad=0 --test_per_class=2",
                  {"out/settings.txt: 'source: a (13 files, ", "now 'source: a (1 files, "});
  for (int i = 0; i < 4; ++i) {
    if (i < 2) WriteImage("few/cat/" + std::to_string(i) + ".png", 10 + i);
    WriteImage("few/dog/" + std::to_string(i) + ".png", 20 + i);
  }
  ExpectToolError("convert_dataset", "--dataset=folder --source=few --output=e --test_per_class=2",
                  {"folder: class 'cat' has no image left to train on"});
  ExpectToolError("convert_dataset", "--dataset=folder --source=few --output=e --test_per_class=9",
                  {"--test_per_class=9: no class of folder has more images"});
  // What is not taken is told, and a link to nothing is no smaller data set.
  WriteIn("few/cat/2.gif", "GIF");
  WriteIn("few/cat/3.gif", "GIF");
  ASSERT_EQ(Run("convert_dataset", "--dataset=folder --source=few --output=o --size=8 --pad=0"), 0);
  EXPECT_NE(output_.find("2 file(s) are left out, as their names do not end as an image's: "
                         "few/cat/2.gif, ..."),
            string::npos)
      << output_;
  std::filesystem::create_symlink("nowhere.png", Path("few/dog/9.png"));
  ExpectToolError("convert_dataset", "--dataset=folder --source=few --output=e",
                  {"few/dog/9.png: is a symbolic link to nothing"});
  const string jpeg = "j/cat/1.jpg";
  WriteImage(jpeg, 50);
  WriteImage("j/dog/1.jpg", 50);
  const string bytes = Read(jpeg);
  Write(jpeg, bytes.substr(0, bytes.size() - 40));
  ExpectToolError("convert_dataset", "--dataset=folder --source=j --output=j_out",
                  {"j/cat/1.jpg: is truncated or cannot be decoded"});

  std::filesystem::rename(Path("a/pets"), Path("a/Train"));
  WriteImage("a/val/dog/z.png", 77);
  ASSERT_EQ(Run("convert_dataset", "--dataset=folder --source=a --output=b --size=8 --pad=0"), 0)
      << output_;
  EXPECT_EQ(Centres("train", 8, 3, "b").at(0).size(), 6u);
  EXPECT_EQ(Centres("test", 8, 3, "b"), (Expected{{1, {77}}}));
  ExpectToolError("convert_dataset", "--dataset=folder --source=a --output=e --test_per_class=1",
                  {"--test_per_class=1", "a test part of its own"});
  WriteImage("a/preview/cat.png", 77);
  ExpectToolError("convert_dataset", "--dataset=folder --source=a --output=e",
                  {"beside 'Train' with classes in it there is 'preview', which is no part"});
  std::filesystem::remove_all(Path("a/preview"));
  WriteImage("a/val/mouse/z.png", 77);
  ExpectToolError("convert_dataset", "--dataset=folder --source=a --output=e",
                  {"a/val/mouse/z.png", "no training image of class 'mouse'"});
  WriteImage("a/Train/z.png", 77);
  ExpectToolError("convert_dataset", "--dataset=folder --source=a --output=e",
                  {"a/Train/z.png", "lies in no class folder"});
}

}  // namespace
}  // namespace caffe

// Runs convert_dataset as a user does, on files in the formats of the publications, and on real
// ones where they lie beside the checkout.
#include <matio.h>

#include <map>
#include <opencv2/imgcodecs.hpp>
#include <set>

#include "testing/data_util.hpp"

namespace caffe {
namespace {

class ConvertDataset : public testing::TempDirTest {
 protected:
  void WriteIn(const string& name, const string& bytes) {
    std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
    Write(name, bytes);
  }
  // An image of one colour; the value tells it apart.
  void WriteImage(const string& name, int value, int height = 12, int width = 10) {
    std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
    cv::imwrite(Path(name), cv::Mat(height, width, CV_8UC3, cv::Scalar(value, value, value)));
  }
  void Shell(const string& command) {
    ASSERT_EQ(std::system(("cd " + directory_ + " && " + command).c_str()), 0) << command;
  }
  // label -> values at the images' centres, of a part of "out".
  std::map<int, std::multiset<int>> Centres(const string& part, int size, int channels = 3,
                                            const string& output = "out") {
    std::map<int, std::multiset<int>> centres;
    for (const auto& record : testing::ReadDatums(Path(output + "/" + part + "_lmdb"))) {
      const Datum& datum = record.second;
      EXPECT_EQ(datum.channels(), channels);
      EXPECT_EQ(datum.height(), size);
      EXPECT_EQ(datum.width(), size);
      centres[datum.label()].insert(
          static_cast<uint8_t>(datum.data()[size * (size / 2) + size / 2]));
    }
    return centres;
  }
  typedef std::map<int, std::multiset<int>> Expected;

  static string CifarRecord(const vector<int>& labels, int value) {
    return string(labels.begin(), labels.end()) + string(3072, static_cast<char>(value));
  }
  // Two training images of each class in five batches, one test image.
  void WriteCifar10() {
    for (int batch = 0; batch < 5; ++batch) {
      string bytes;
      for (int i = 0; i < 4; ++i) {
        const int label = (4 * batch + i) % 10;
        bytes += CifarRecord({label}, 20 * label + batch);
      }
      WriteIn("cifar-10-batches-bin/data_batch_" + std::to_string(batch + 1) + ".bin", bytes);
    }
    string test, names;
    for (int label = 0; label < 10; ++label) {
      test += CifarRecord({label}, 20 * label + 7);
      names += "class" + std::to_string(label) + "\n";
    }
    WriteIn("cifar-10-batches-bin/test_batch.bin", test);
    WriteIn("cifar-10-batches-bin/batches.meta.txt", names + "\n");
    Shell("tar czf cifar.tar.gz cifar-10-batches-bin");
  }
};

TEST_F(ConvertDataset, Cifar10FromArchive) {
  WriteCifar10();
  ASSERT_EQ(Run("convert_dataset", "--dataset=cifar10 --source=cifar.tar.gz --output=out"), 0)
      << output_;
  const auto train = Centres("train", 40), test = Centres("test", 40);
  ASSERT_EQ(train.size(), 10u);
  for (int label = 0; label < 10; ++label) {
    ASSERT_EQ(train.at(label).size(), 2u);
    for (const int value : train.at(label)) EXPECT_EQ(value / 20, label);
    EXPECT_EQ(test.at(label), (std::multiset<int>{20 * label + 7}));
  }
  EXPECT_EQ(Read("out/labels.txt").substr(0, 14), "class0\nclass1\n");
  EXPECT_NE(output_.find("out/train_lmdb: Processed 20 of 20 files. 100%"), string::npos)
      << output_;

  // A second run does nothing, other settings are an error, a part that is missing is made.
  const string command = "--dataset=cifar10 --source=cifar.tar.gz --output=out";
  ASSERT_EQ(Run("convert_dataset", command), 0);
  EXPECT_NE(output_.find("is complete already"), string::npos) << output_;
  EXPECT_EQ(output_.find("Processed"), string::npos) << output_;
  ExpectToolError("convert_dataset", command + " --size=16",
                  {"out/settings.txt", "'size: 32' was asked for before, now 'size: 16'"});
  std::filesystem::remove_all(Path("out/train_lmdb"));
  std::filesystem::remove(Path("out/labels.txt"));
  ASSERT_EQ(Run("convert_dataset", command), 0) << output_;
  EXPECT_NE(output_.find("out/test_lmdb: is there already"), string::npos) << output_;
  EXPECT_EQ(Centres("train", 40), train);
}

TEST_F(ConvertDataset, SubsetsOfCifar100) {
  string train, test, names;
  for (int label = 0; label < 100; ++label) {
    names += "name" + std::to_string(label) + "\n";
    for (int i = 0; i < 60; ++i) train += CifarRecord({0, label}, (label + i) % 256);
    test += CifarRecord({0, label}, label);
  }
  WriteIn("c/train.bin", train);
  WriteIn("c/test.bin", test);
  WriteIn("c/fine_label_names.txt", names);
  ASSERT_EQ(Run("convert_dataset",
                "--dataset=s_cifar100 --source=c --output=out --pad=0 --val_per_class=5"),
            0)
      << output_;
  const auto chosen = Centres("train", 32), val = Centres("val", 32);
  ASSERT_EQ(chosen.size(), 100u);
  for (int label = 0; label < 100; ++label) {
    EXPECT_EQ(chosen.at(label).size(), 50u);
    EXPECT_EQ(val.at(label).size(), 5u);
    for (const int value : val.at(label)) EXPECT_EQ(chosen.at(label).count(value), 0u);
  }
  EXPECT_EQ(Centres("test", 32).size(), 100u);
  ASSERT_EQ(Run("convert_dataset",
                "--dataset=s_cifar100 --source=c --output=b --pad=0 --seed=2 --classes=7,3"),
            0)
      << output_;
  const auto other = Centres("train", 32, 3, "b");
  EXPECT_EQ(other.size(), 2u);
  EXPECT_NE(other.at(0), chosen.at(7));
  EXPECT_EQ(Centres("test", 32, 3, "b"), (Expected{{0, {7}}, {1, {3}}}));
  EXPECT_EQ(Read("b/labels.txt"), "name7\nname3\n");
  ExpectToolError("convert_dataset",
                  "--dataset=cifar100 --source=c --output=e --per_class=61 --classes=5",
                  {"cifar100, train", "class 5 has 60 images where 61 are asked for"});
  ExpectToolError("convert_dataset", "--dataset=cifar100 --source=c --output=e --classes=100",
                  {"--classes=100", "classes 0 to 99"});
  EXPECT_FALSE(Exists("e"));
}

TEST_F(ConvertDataset, Stl10LiesInColumns) {
  // Pixel (y, x) of channel c is c * 80 + x in image 0, and c * 80 + y in image 1.
  string images;
  for (int image = 0; image < 2; ++image) {
    for (int c = 0; c < 3; ++c) {
      for (int x = 0; x < 96; ++x) {
        for (int y = 0; y < 96; ++y) {
          images.push_back(static_cast<char>(c * 80 + (image == 0 ? x : y) / 2));
        }
      }
    }
  }
  string names;
  for (int i = 0; i < 10; ++i) names += "n" + std::to_string(i) + "\n";
  for (const char* part : {"train", "test"}) {
    WriteIn("stl10_binary/" + string(part) + "_X.bin", images);
    WriteIn("stl10_binary/" + string(part) + "_y.bin", "\x01\x0a");
  }
  WriteIn("stl10_binary/class_names.txt", names);
  ASSERT_EQ(Run("convert_dataset",
                "--dataset=stl10 --source=stl10_binary --output=out --size=96 --pad=0"),
            0)
      << output_;
  for (const auto& record : testing::ReadDatums(Path("out/train_lmdb"))) {
    const Datum& datum = record.second;
    ASSERT_EQ(datum.height(), 96);
    const int image = datum.label() == 9;
    for (int c = 0; c < 3; ++c) {
      const int value = static_cast<uint8_t>(datum.data()[(c * 96 + 30) * 96 + 50]);
      EXPECT_EQ(value, (2 - c) * 80 + (image == 0 ? 50 : 30) / 2);  // blue first
    }
  }
  WriteIn("stl10_binary/train_y.bin", "\x01\x0b");
  ExpectToolError("convert_dataset", "--dataset=stl10 --source=stl10_binary --output=e",
                  {"train_y.bin", "image 1 has label 11 where 1 to 10"});
  WriteIn("stl10_binary/train_X.bin", images.substr(1));
  ExpectToolError("convert_dataset", "--dataset=stl10 --source=stl10_binary --output=e",
                  {"train_X.bin: is truncated"});
}

void WriteMat(const string& path, const vector<matvar_t*>& variables) {
  mat_t* file = Mat_CreateVer(path.c_str(), nullptr, MAT_FT_MAT5);
  ASSERT_NE(file, nullptr);
  for (matvar_t* variable : variables) {
    // matio 1.5.23 does not read the compressed cells that it writes, only other programs'.
    const bool nested = variable->class_type == MAT_C_CELL || variable->class_type == MAT_C_STRUCT;
    EXPECT_EQ(Mat_VarWrite(file, variable, nested ? MAT_COMPRESSION_NONE : MAT_COMPRESSION_ZLIB),
              0);
    Mat_VarFree(variable);
  }
  Mat_Close(file);
}

matvar_t* Numbers(const char* name, vector<double> values) {
  size_t extent[2] = {values.size(), 1};
  return Mat_VarCreate(name, MAT_C_DOUBLE, MAT_T_DOUBLE, 2, extent, values.data(), 0);
}

matvar_t* Text(const char* name, string text) {
  size_t extent[2] = {1, text.size()};
  return Mat_VarCreate(name, MAT_C_CHAR, MAT_T_UINT8, 2, extent, &text[0], 0);
}

matvar_t* Texts(const char* name, const vector<string>& texts) {
  size_t extent[2] = {texts.size(), 1};
  vector<matvar_t*> cells;
  for (const string& text : texts) cells.push_back(Text(nullptr, text));
  return Mat_VarCreate(name, MAT_C_CELL, MAT_T_CELL, 2, extent, cells.data(), 0);
}

TEST_F(ConvertDataset, Svhn) {
  // Column by column, red first: pixel (y, x) of image n is 40 * n + c * 10 + (x == 3).
  size_t extent[4] = {32, 32, 3, 3};
  string images;
  for (int n = 0; n < 3; ++n) {
    for (int c = 0; c < 3; ++c) {
      for (int x = 0; x < 32; ++x) {
        images += string(32, static_cast<char>(40 * n + c * 10 + (x == 3)));
      }
    }
  }
  for (const char* part : {"train", "test"}) {
    WriteMat(Path(string(part) + "_32x32.mat"),
             {Mat_VarCreate("X", MAT_C_UINT8, MAT_T_UINT8, 4, extent, &images[0], 0),
              Numbers("y", {10, 1, 9})});
  }
  ASSERT_EQ(Run("convert_dataset",
                "--dataset=svhn --source=train_32x32.mat,test_32x32.mat --output=out --pad=0"),
            0)
      << output_;
  const auto records = testing::ReadDatums(Path("out/train_lmdb"));
  ASSERT_EQ(records.size(), 3u);
  for (const auto& record : records) {
    const Datum& datum = record.second;
    const std::map<int, int> image_of = {{0, 0}, {1, 1}, {9, 2}};
    const int n = image_of.at(datum.label());
    for (int c = 0; c < 3; ++c) {
      EXPECT_EQ(datum.data()[(c * 32 + 8) * 32 + 3], 40 * n + (2 - c) * 10 + 1);
      EXPECT_EQ(datum.data()[(c * 32 + 3) * 32 + 8], 40 * n + (2 - c) * 10);
    }
  }
  Write("train_32x32.mat", Read("train_32x32.mat").substr(0, 200));
  ExpectToolError("convert_dataset",
                  "--dataset=svhn --source=train_32x32.mat,test_32x32.mat --output=e",
                  {"train_32x32.mat:", "damaged"});
  WriteMat(Path("test_32x32.mat"), {Numbers("X", {1}), Numbers("y", {1})});
  ExpectToolError("convert_dataset", "--dataset=svhn --source=test_32x32.mat --output=e",
                  {"there is no file 'train_32x32.mat'"});
}

TEST_F(ConvertDataset, TinyImagenet) {
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
                  {"t/train/n02/images/n02_1.JPEG: cannot be decoded (20 bytes)"});
  EXPECT_FALSE(Exists("e/train_lmdb"));
  EXPECT_FALSE(Exists("e/train_lmdb.tmp"));
  EXPECT_FALSE(Exists("e/labels.txt"));
  std::filesystem::remove(Path("t/val/images/val_0.JPEG"));
  ExpectToolError("convert_dataset", command + "--source=t --output=e",
                  {"t/val/val_annotations.txt: names 'val/images/val_0.JPEG'"});
}

TEST_F(ConvertDataset, DescribableTextures) {
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
}

TEST_F(ConvertDataset, AircraftWithoutTheBanner) {
  const string root = "fgvc-aircraft-2013b/data/";
  WriteIn(root + "variants.txt", "707-320\nF/A-18\n");
  WriteIn(root + "images_variant_trainval.txt", "0000001 F/A-18\n0000002 707-320\n");
  WriteIn(root + "images_variant_test.txt", "0000003 707-320\n");
  for (int i = 1; i <= 3; ++i) {
    cv::Mat image(60, 40, CV_8UC3, cv::Scalar(255, 255, 255));
    image.rowRange(0, 40).setTo(cv::Scalar(10 * i, 10 * i, 10 * i));
    WriteImage(root + "images/000000" + std::to_string(i) + ".png", 0);
    cv::imwrite(Path(root + "images/000000" + std::to_string(i) + ".png"), image);
    std::filesystem::rename(Path(root + "images/000000" + std::to_string(i) + ".png"),
                            Path(root + "images/000000" + std::to_string(i) + ".jpg"));
  }
  ASSERT_EQ(Run("convert_dataset",
                "--dataset=aircraft --source=fgvc-aircraft-2013b --output=out --size=10 --pad=0"),
            0)
      << output_;
  EXPECT_EQ(Centres("train", 10), (Expected{{0, {20}}, {1, {10}}}));
  EXPECT_EQ(Centres("test", 10), (Expected{{0, {30}}}));
  for (const auto& record : testing::ReadDatums(Path("out/test_lmdb"))) {
    EXPECT_EQ(record.second.data(), string(300, static_cast<char>(30)));
  }
  WriteIn(root + "images_variant_test.txt", "0000003 DC-10\n");
  ExpectToolError("convert_dataset", "--dataset=aircraft --source=fgvc-aircraft-2013b --output=e",
                  {"images_variant_test.txt: 'DC-10' is no class"});
}

TEST_F(ConvertDataset, Birds) {
  WriteIn("CUB/classes.txt", "1 001.Albatross\n2 002.Wren\n");
  WriteIn("CUB/images.txt", "1 001.Albatross/a.jpg\n2 002.Wren/b.jpg\n3 002.Wren/c.jpg\n");
  WriteIn("CUB/image_class_labels.txt", "1 1\n2 2\n3 2\n");
  WriteIn("CUB/train_test_split.txt", "1 1\n2 1\n3 0\n");
  WriteImage("CUB/images/001.Albatross/a.jpg", 11);
  WriteImage("CUB/images/002.Wren/b.jpg", 22);
  WriteImage("CUB/images/002.Wren/c.jpg", 33);
  ASSERT_EQ(Run("convert_dataset", "--dataset=cub200 --source=CUB --output=out --size=8 --pad=0"),
            0)
      << output_;
  EXPECT_EQ(Centres("train", 8), (Expected{{0, {11}}, {1, {22}}}));
  EXPECT_EQ(Centres("test", 8), (Expected{{1, {33}}}));
  WriteIn("CUB/train_test_split.txt", "1 1\n3 0\n");
  ExpectToolError("convert_dataset", "--dataset=cub200 --source=CUB --output=e",
                  {"train_test_split.txt: image 2 is not there"});
}

TEST_F(ConvertDataset, Cars) {
  for (const char* part : {"train", "test"}) {
    const string folder = string("cars_") + part;
    WriteImage(folder + "/00001.jpg", part[1] == 'r' ? 10 : 30);
    WriteImage(folder + "/00002.jpg", part[1] == 'r' ? 20 : 40);
    const char* fields[] = {"bbox_x1", "class", "fname"};
    size_t extent[2] = {1, 2};
    matvar_t* annotations = Mat_VarCreateStruct("annotations", 2, extent, fields, 3);
    for (int i = 0; i < 2; ++i) {
      Mat_VarSetStructFieldByName(annotations, "bbox_x1", i, Numbers("bbox_x1", {5}));
      Mat_VarSetStructFieldByName(annotations, "class", i, Numbers("class", {2.0 - i}));
      Mat_VarSetStructFieldByName(annotations, "fname", i,
                                  Text("fname", "0000" + std::to_string(i + 1) + ".jpg"));
    }
    WriteMat(Path(part[1] == 'r' ? "cars_train_annos.mat" : "cars_test_annos_withlabels.mat"),
             {annotations});
  }
  WriteMat(Path("cars_meta.mat"), {Texts("class_names", {"AM General Hummer", "Acura RL"})});
  Shell("tar czf cars_train.tgz cars_train && tar czf cars_test.tgz cars_test");
  Shell(
      "mkdir devkit && mv cars_meta.mat cars_train_annos.mat devkit && "
      "tar czf car_devkit.tgz devkit");
  ASSERT_EQ(Run("convert_dataset",
                "--dataset=cars --source=cars_train.tgz,cars_test.tgz,car_devkit.tgz,"
                "cars_test_annos_withlabels.mat --output=out --size=8 --pad=0"),
            0)
      << output_;
  EXPECT_EQ(Centres("train", 8), (Expected{{0, {20}}, {1, {10}}}));
  EXPECT_EQ(Centres("test", 8), (Expected{{0, {40}}, {1, {30}}}));
  EXPECT_EQ(Read("out/labels.txt"), "AM General Hummer\nAcura RL\n");
}

TEST_F(ConvertDataset, Dogs) {
  WriteImage("Images/n01-Chihuahua/n01_1.jpg", 10);
  WriteImage("Images/n02-Pug/n02_1.jpg", 20);
  WriteImage("Images/n02-Pug/n02_2.jpg", 30);
  WriteMat(Path("train_list.mat"),
           {Texts("file_list", {"n01-Chihuahua/n01_1.jpg", "n02-Pug/n02_1.jpg"}),
            Numbers("labels", {1, 2})});
  WriteMat(Path("test_list.mat"),
           {Texts("file_list", {"n02-Pug/n02_2.jpg"}), Numbers("labels", {2})});
  Shell("tar cf images.tar Images && tar cf lists.tar train_list.mat test_list.mat");
  ASSERT_EQ(Run("convert_dataset",
                "--dataset=dogs --source=images.tar,lists.tar --output=out --size=8 --pad=0"),
            0)
      << output_;
  EXPECT_EQ(Centres("train", 8), (Expected{{0, {10}}, {1, {20}}}));
  EXPECT_EQ(Centres("test", 8), (Expected{{1, {30}}}));
  EXPECT_EQ(Read("out/labels.txt"), "n01-Chihuahua\nn02-Pug\n");
}

TEST_F(ConvertDataset, OmniglotSetsATestPartApart) {
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
  for (int seed = 1; seed <= 2; ++seed) {
    const string output = "out" + std::to_string(seed);
    ASSERT_EQ(Run("convert_dataset",
                  "--dataset=omniglot --source=. --size=8 --pad=0 --per_class=10 --output=" +
                      output + " --seed=" + std::to_string(seed)),
              0)
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
}

TEST_F(ConvertDataset, AnyFolder) {
  for (int i = 0; i < 6; ++i) {
    WriteImage("a/pets/cat/x" + std::to_string(i) + ".png", 10 + i);
    WriteImage("a/pets/dog/deep/y" + std::to_string(i) + ".PNG", 100 + i);
  }
  WriteIn("a/pets/cat/notes.md", "not an image");
  ASSERT_EQ(Run("convert_dataset",
                "--dataset=folder --source=a --output=out --size=8 --pad=0 --test_per_class=2"),
            0)
      << output_;
  const auto train = Centres("train", 8), test = Centres("test", 8);
  EXPECT_EQ(train.at(0).size(), 4u);
  EXPECT_EQ(train.at(1).size(), 4u);
  EXPECT_EQ(test.at(1).size(), 2u);
  for (const int value : test.at(0)) EXPECT_EQ(train.at(0).count(value), 0u);

  std::filesystem::rename(Path("a/pets"), Path("a/train"));
  WriteImage("a/val/dog/z.png", 77);
  ASSERT_EQ(Run("convert_dataset", "--dataset=folder --source=a --output=b --size=8 --pad=0"), 0)
      << output_;
  EXPECT_EQ(Centres("train", 8, 3, "b").at(0).size(), 6u);
  EXPECT_EQ(Centres("test", 8, 3, "b"), (Expected{{1, {77}}}));
  ExpectToolError("convert_dataset", "--dataset=folder --source=a --output=e --test_per_class=1",
                  {"--test_per_class=1", "a test part of its own"});
  WriteImage("a/val/mouse/z.png", 77);
  ExpectToolError("convert_dataset", "--dataset=folder --source=a --output=e",
                  {"a/val/mouse/z.png", "no training image of class 'mouse'"});
  WriteImage("a/train/z.png", 77);
  ExpectToolError("convert_dataset", "--dataset=folder --source=a --output=e",
                  {"a/train/z.png", "lies in no class folder"});
}

TEST_F(ConvertDataset, Errors) {
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
  WriteCifar10();
  const string archive = Read("cifar.tar.gz");
  Write("half.tar.gz", archive.substr(0, archive.size() / 2));
  ExpectToolError("convert_dataset", "--dataset=cifar10 --source=half.tar.gz --output=e",
                  {"half.tar.gz: ", "is truncated or damaged"});
  Shell("mkdir file && cp cifar.tar.gz file/");
  Write("taken", "");
  ExpectToolError("convert_dataset", "--dataset=cifar10 --source=cifar.tar.gz --output=taken",
                  {"taken: cannot be made"});
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

// Real images, where they lie beside a developer's checkout.
class RealDataset : public ConvertDataset {
 protected:
  // Converts; the number of images of every class in a part.
  std::map<int, int> Convert(const string& flags, const string& part, int channels) {
    EXPECT_EQ(Run("convert_dataset", flags + " --output=out"), 0) << output_;
    std::map<int, int> counts;
    for (const auto& record : testing::ReadDatums(Path("out/" + part + "_lmdb"))) {
      EXPECT_EQ(record.second.channels(), channels);
      ++counts[record.second.label()];
    }
    return counts;
  }
  static string Shared(const string& name) {
    return METAPERTURB_SOURCE_DIR "/../shared/data/" + name;
  }
};

#define SKIP_WITHOUT(file) \
  if (!std::filesystem::exists(file)) GTEST_SKIP() << (file) << " is not here"

TEST_F(RealDataset, TinyImagenet) {
  const string archive = Shared("tiny-imagenet-200.tar.gz");
  SKIP_WITHOUT(archive);
  const auto counts =
      Convert("--dataset=tiny_imagenet --per_class=20 --source=" + archive, "train", 3);
  ASSERT_EQ(counts.size(), 200u);
  for (const auto& count : counts) EXPECT_EQ(count.second, 20);
  EXPECT_EQ(testing::ReadDatums(Path("out/test_lmdb")).size(), 10000u);
}

TEST_F(RealDataset, Cifar10AsFolders) {
  const string archive = Shared("cifar10.tar");
  SKIP_WITHOUT(archive);
  const auto counts = Convert("--dataset=folder --per_class=50 --source=" + archive, "train", 3);
  ASSERT_EQ(counts.size(), 10u);
  for (const auto& count : counts) EXPECT_EQ(count.second, 50);
  EXPECT_EQ(testing::ReadDatums(Path("out/test_lmdb")).size(), 5000u);
}

TEST_F(RealDataset, TexturesAsFolders) {
  const string archive = Shared("dtd10-160.tar");
  SKIP_WITHOUT(archive);
  const auto counts = Convert("--dataset=folder --size=84 --pad=8 --source=" + archive, "train", 3);
  ASSERT_EQ(counts.size(), 10u);
  for (const auto& count : counts) EXPECT_EQ(count.second, 80);
}

TEST_F(RealDataset, Mnist) {
  SKIP_WITHOUT(Shared("mnist.tar"));
  Shell("tar xf " + Shared("mnist.tar"));
  const auto counts = Convert("--dataset=mnist --source=mnist", "test", 1);
  EXPECT_EQ(counts.at(0), 980);
  EXPECT_EQ(counts.at(1), 1135);
}

TEST_F(RealDataset, Omniglot) {
  SKIP_WITHOUT(Shared("omniglot-small.tar"));
  Shell("tar xf " + Shared("omniglot-small.tar"));
  const auto counts = Convert(
      "--dataset=omniglot --source=omniglot/images_background_small1.zip,"
      "omniglot/images_background_small2.zip",
      "train", 1);
  EXPECT_EQ(counts.size(), 242u);
  for (const auto& count : counts) EXPECT_EQ(count.second, 15);
}

TEST_F(RealDataset, FashionMnist) {
  const string folder = "/usr/share/datasets/fashion-mnist";
  SKIP_WITHOUT(folder);
  const auto counts = Convert("--dataset=s_fashion_mnist --source=" + folder, "train", 1);
  ASSERT_EQ(counts.size(), 10u);
  for (const auto& count : counts) EXPECT_EQ(count.second, 500);
}

}  // namespace
}  // namespace caffe

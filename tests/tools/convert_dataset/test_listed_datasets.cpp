#include "testing/convert_dataset_test.hpp"
#include "testing/mat_file_writer.hpp"

namespace caffe {
namespace {

using testing::Numbers;
using testing::Text;
using testing::Texts;
using testing::WriteMat;

class ListedDatasets : public testing::ConvertDatasetTest {};

TEST_F(ListedDatasets, AircraftWithoutTheBanner) {
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

TEST_F(ListedDatasets, Birds) {
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

TEST_F(ListedDatasets, Cars) {
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

TEST_F(ListedDatasets, Dogs) {
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

}  // namespace
}  // namespace caffe

#include "caffe/util/io.hpp"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "testing/blob_util.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

using testing::FullDisk;

class IoTest : public testing::TempDirTest {
 protected:
  // A smooth picture, which survives JPEG.
  cv::Mat Picture(int height, int width) {
    cv::Mat image(height, width, CV_8UC3);
    for (int h = 0; h < height; ++h) {
      for (int w = 0; w < width; ++w) image.at<cv::Vec3b>(h, w) = cv::Vec3b(4 * h, 3 * w, 100);
    }
    return image;
  }
};

TEST_F(IoTest, TextAndBinaryRoundTrip) {
  NetParameter net = testing::NetFromText("name: 'n' layer { name: 'a' type: 'ReLU' }"), text,
               binary;
  WriteProtoToTextFile(net, Path("net.prototxt"));
  WriteProtoToBinaryFile(net, Path("net.caffemodel"));
  EXPECT_TRUE(ReadProtoFromTextFile(Path("net.prototxt"), &text));
  EXPECT_TRUE(ReadProtoFromBinaryFile(Path("net.caffemodel").c_str(), &binary));
  EXPECT_EQ(net.DebugString(), text.DebugString());
  EXPECT_EQ(net.DebugString(), binary.DebugString());
  EXPECT_FALSE(Exists("net.prototxt.tmp") || Exists("net.caffemodel.tmp"));
}

TEST_F(IoTest, TextErrorsHaveLineAndColumn) {
  NetParameter net;
  const string unknown = Write("unknown.prototxt", "name: 'n'\nlayer {\n  nam: 'x'\n}\n");
  EXPECT_ERROR(ReadProtoFromTextFileOrDie(unknown, &net), unknown + ":3:6: ");
  EXPECT_ERROR(ReadProtoFromTextFileOrDie(unknown, &net), "\"nam\"");
  const string number = Write("number.prototxt", "layer { loss_weight: x }");
  EXPECT_ERROR(ReadProtoFromTextFileOrDie(number, &net), number + ":1:");
  const string open = Write("open.prototxt", "layer {\n  name: 'a'\n");
  EXPECT_ERROR(ReadProtoFromTextFileOrDie(open, &net), open + ":3:1: ");
  EXPECT_ERROR(ReadProtoFromTextFile(Path("none.prototxt"), &net),
               Path("none.prototxt") + ": cannot be opened: No such file");
}

TEST_F(IoTest, ByteOrderMarkBeforeTextIsSkipped) {
  NetParameter net;
  ReadProtoFromTextFileOrDie(Write("marked.prototxt", "\xEF\xBB\xBFname: 'n'\n"), &net);
  EXPECT_EQ(net.name(), "n");
  const string wrong = Write("wrong.prototxt", "\xEF\xBB\xBFnam: 'n'\n");
  EXPECT_ERROR(ReadProtoFromTextFileOrDie(wrong, &net), wrong + ":1:4: ");
  ReadProtoFromTextFileOrDie(Write("short.prototxt", "\n"), &net);
}

TEST_F(IoTest, MissingOrTruncatedBinary) {
  BlobProto mean;
  mean.set_num(1);
  for (int i = 0; i < 300; ++i) mean.add_data(float(i));
  const string whole = Path("mean.binaryproto");
  WriteProtoToBinaryFile(mean, whole);
  const string bytes = Read("mean.binaryproto");
  for (const size_t size : {bytes.size() - 1, bytes.size() / 2, size_t(1)}) {
    const string cut = Write("cut.binaryproto", bytes.substr(0, size));
    EXPECT_ERROR(ReadProtoFromBinaryFileOrDie(cut, &mean), cut + ": is truncated");
  }
  EXPECT_ERROR(ReadProtoFromBinaryFile(Path("none"), &mean), Path("none") + ": cannot be opened");
  EXPECT_ERROR(ReadProtoFromBinaryFile(directory_, &mean), directory_ + ": cannot be read");
  EXPECT_ERROR(ReadProtoFromTextFile(directory_, &mean), directory_ + ": cannot be read");
}

// protobuf's default limit was 64 MiB, less than VGG-16's weights.
TEST_F(IoTest, LargeMessage) {
  Datum datum, read;
  datum.set_data(string(70 << 20, 'x'));
  WriteProtoToBinaryFile(datum, Path("large"));
  ReadProtoFromBinaryFileOrDie(Path("large"), &read);
  EXPECT_EQ(read.data().size(), datum.data().size());
}

TEST_F(IoTest, FailedWriteLeavesTheOldFile) {
  const string file = Write("file", "old");
  Datum datum;
  datum.set_data(string(100000, 'x'));
  {
    const FullDisk full(5000);
    EXPECT_ERROR(WriteProtoToBinaryFile(datum, file), file + ": cannot be written");
    EXPECT_ERROR(WriteProtoToTextFile(datum, file), file + ": cannot be written");
  }
  EXPECT_EQ(Read("file"), "old");
  EXPECT_FALSE(Exists("file.tmp"));
  EXPECT_ERROR(WriteProtoToTextFile(datum, Path("no/such/file")), Path("no/such/file"));
}

TEST_F(IoTest, TempNamesDiffer) {
  string a, b, c;
  MakeTempDir(&a);
  MakeTempFilename(&b);
  MakeTempFilename(&c);
  EXPECT_TRUE(std::filesystem::is_directory(a));
  EXPECT_NE(b, c);
  EXPECT_TRUE(std::ofstream(b).good());
  std::filesystem::remove_all(a);
  for (const string& file : {b, c}) {
    std::filesystem::remove_all(std::filesystem::path(file).parent_path());
  }
}

TEST_F(IoTest, ReadsImages) {
  const cv::Mat picture = Picture(6, 8);
  cv::imwrite(Path("a.png"), picture);
  Datum datum;
  ASSERT_TRUE(ReadImageToDatum(Path("a.png"), 5, &datum));
  EXPECT_EQ(datum.channels(), 3);
  EXPECT_EQ(datum.height(), 6);
  EXPECT_EQ(datum.width(), 8);
  EXPECT_EQ(datum.label(), 5);
  // Planes, blue first.
  for (int h = 0; h < 6; ++h) {
    for (int w = 0; w < 8; ++w) {
      EXPECT_EQ(uint8_t(datum.data()[h * 8 + w]), 4 * h);
      EXPECT_EQ(uint8_t(datum.data()[48 + h * 8 + w]), 3 * w);
      EXPECT_EQ(uint8_t(datum.data()[96 + h * 8 + w]), 100);
    }
  }
  ASSERT_TRUE(ReadImageToDatum(Path("a.png"), 0, 12, 4, false, &datum));
  EXPECT_EQ(datum.channels(), 1);
  EXPECT_EQ(datum.height(), 12);
  EXPECT_EQ(datum.width(), 4);
  EXPECT_EQ(ReadImageToCVMat(Path("a.png"), 3, 2).size(), cv::Size(2, 3));
  EXPECT_FALSE(ReadImageToDatum(Path("none.png"), 0, &datum));
  EXPECT_TRUE(ReadImageToCVMat(Write("text.png", "no image")).empty());
}

TEST_F(IoTest, EncodedImages) {
  cv::imwrite(Path("a.png"), Picture(6, 8));
  Datum datum;
  ASSERT_TRUE(ReadImageToDatum(Path("a.png"), 2, 0, 0, true, "png", &datum));
  EXPECT_TRUE(datum.encoded());
  EXPECT_EQ(datum.data(), Read("a.png"));  // kept, not compressed anew
  Datum gray;
  ASSERT_TRUE(ReadImageToDatum(Path("a.png"), 2, 0, 0, false, "png", &gray));
  EXPECT_NE(gray.data(), Read("a.png"));
  EXPECT_EQ(DecodeDatumToCVMatNative(gray).channels(), 1);
  EXPECT_EQ(DecodeDatumToCVMat(datum, false).channels(), 1);
  EXPECT_TRUE(DecodeDatumNative(&datum));
  EXPECT_FALSE(datum.encoded());
  EXPECT_EQ(uint8_t(datum.data()[8 * 5]), 20);
  EXPECT_FALSE(DecodeDatum(&datum, true));
  ASSERT_TRUE(ReadImageToDatum(Path("a.png"), 2, 3, 3, true, "jpg", &datum));
  EXPECT_EQ(DecodeDatumToCVMat(datum, true).rows, 3);
  EXPECT_ERROR(ReadImageToDatum(Path("a.png"), 0, 0, 0, true, "xyz", &datum), "'xyz'");
}

TEST_F(IoTest, DamagedImages) {
  cv::imwrite(Path("a.png"), Picture(64, 64));
  cv::imwrite(Path("a.jpg"), Picture(64, 64));
  for (const string name : {"a.png", "a.jpg"}) {
    const string bytes = Read(name);
    EXPECT_FALSE(ReadImageToCVMat(Path(name)).empty());
    for (const size_t size : {bytes.size() / 2, bytes.size() * 3 / 4, size_t(20), size_t(0)}) {
      const string cut = Write("cut_" + name, bytes.substr(0, size));
      EXPECT_TRUE(ReadImageToCVMat(cut).empty()) << name << " " << size;
      Datum datum;
      datum.set_encoded(true);
      datum.set_data(bytes.substr(0, size));
      EXPECT_ERROR(DecodeDatumNative(&datum), "cannot be decoded");
    }
  }
  EXPECT_EQ(WhyNoImage(Write("text.png", "text")), "cannot be decoded (4 bytes)");
  EXPECT_EQ(WhyNoImage(Path("none.png")), "cannot be read: No such file or directory");
  std::filesystem::create_directory(Path("folder.png"));
  EXPECT_EQ(WhyNoImage(Path("folder.png")), "cannot be read: Is a directory");
  // Extents beyond OpenCV's limit.
  string header = Read("a.png");
  header.replace(16, 8, string(8, '\x7f'));
  EXPECT_TRUE(ReadImageToCVMat(Write("huge.png", header)).empty());
}

TEST_F(IoTest, MatMustHoldBytes) {
  Datum datum;
  EXPECT_ERROR(CVMatToDatum(cv::Mat(2, 2, CV_32FC1), &datum), "8 bits");
}

}  // namespace
}  // namespace caffe

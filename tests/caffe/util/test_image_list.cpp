#include "caffe/util/image_list.hpp"

#include "testing/blob_util.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

class ImageListTest : public testing::TempDirTest {};

TEST_F(ImageListTest, Reads) {
  const auto images =
      ReadImageList(Write("list", "a.png 3\n\nmy cat.png  12 \r\nb.png\t0\nneg.png -1"));
  ASSERT_EQ(images.size(), 4u);
  EXPECT_EQ(images[0].path, "a.png");
  EXPECT_EQ(images[0].label, 3);
  EXPECT_EQ(images[1].path, "my cat.png");
  EXPECT_EQ(images[1].label, 12);
  EXPECT_EQ(images[1].line, 3);
  EXPECT_EQ(images[2].path, "b.png");
  EXPECT_EQ(images[3].label, -1);
  EXPECT_EQ(ReadImageList(Write("marked",
                                "\xEF\xBB\xBF"
                                "a.png 3\n"))[0]
                .path,
            "a.png");
}

TEST_F(ImageListTest, Errors) {
  EXPECT_ERROR(ReadImageList(Path("none")), Path("none") + ": cannot be opened");
  EXPECT_ERROR(ReadImageList(Write("empty", "\n \n")), Path("empty") + ": lists no image");
  EXPECT_ERROR(ReadImageList(Write("a", "x.png 1\ny.png\n")), Path("a") + ":2: ");
  EXPECT_ERROR(ReadImageList(Write("b", "x.png one\n")), "'x.png one'");
  EXPECT_ERROR(ReadImageList(Write("c", "x.png 1.5\n")), Path("c") + ":1: ");
  EXPECT_ERROR(ReadImageList(Write("d", "x.png 99999999999\n")), Path("d") + ":1: ");
}

}  // namespace
}  // namespace caffe

#include "caffe/util/im2col.hpp"

#include "testing/blob_util.hpp"

namespace caffe {
namespace testing {
namespace {

struct Window {
  int channels, size[2], kernel[2], pad[2], stride[2], dilation[2];
  int Out(int axis) const {
    const int reach = dilation[axis] * (kernel[axis] - 1) + 1;
    return (size[axis] + 2 * pad[axis] - reach) / stride[axis] + 1;
  }
  int ImageCount() const { return channels * size[0] * size[1]; }
  int ColumnCount() const { return channels * kernel[0] * kernel[1] * Out(0) * Out(1); }
};

const Window kWindows[] = {
    {1, {1, 1}, {1, 1}, {0, 0}, {1, 1}, {1, 1}}, {3, {5, 4}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {2, {6, 7}, {3, 2}, {0, 1}, {2, 3}, {1, 1}}, {2, {7, 8}, {3, 3}, {2, 1}, {1, 2}, {2, 3}},
    {2, {1, 1}, {3, 3}, {1, 1}, {1, 1}, {1, 1}}, {1, {3, 2}, {1, 1}, {2, 2}, {3, 2}, {1, 1}}};

template <typename Dtype>
std::vector<Dtype> Gaussian(int count, uint64_t seed) {
  Blob<Dtype> blob(vector<int>{count});
  FillGaussian<Dtype>(&blob, seed);
  return std::vector<Dtype>(blob.cpu_data(), blob.cpu_data() + count);
}

// Results start as a number that must not survive.
template <typename Dtype>
std::vector<Dtype> ToColumns(const Window& w, const std::vector<Dtype>& image) {
  std::vector<Dtype> columns(w.ColumnCount(), 1e6);
  im2col_cpu(image.data(), w.channels, w.size[0], w.size[1], w.kernel[0], w.kernel[1], w.pad[0],
             w.pad[1], w.stride[0], w.stride[1], w.dilation[0], w.dilation[1], columns.data());
  return columns;
}

template <typename Dtype>
std::vector<Dtype> ToImage(const Window& w, const std::vector<Dtype>& columns) {
  std::vector<Dtype> image(w.ImageCount(), 1e6);
  col2im_cpu(columns.data(), w.channels, w.size[0], w.size[1], w.kernel[0], w.kernel[1], w.pad[0],
             w.pad[1], w.stride[0], w.stride[1], w.dilation[0], w.dilation[1], image.data());
  return image;
}

template <typename Dtype>
class Im2colTest : public ::testing::Test {};
typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(Im2colTest, Dtypes);

TYPED_TEST(Im2colTest, RowsHoldThePixelsUnderAKernelElement) {
  for (const Window& w : kWindows) {
    const auto image = Gaussian<TypeParam>(w.ImageCount(), 1);
    const auto columns = ToColumns(w, image);
    const int kernel = w.kernel[0] * w.kernel[1], area = w.Out(0) * w.Out(1);
    for (int row = 0; row < w.channels * kernel; ++row) {
      for (int position = 0; position < area; ++position) {
        const int y = position / w.Out(1) * w.stride[0] +
                      row % kernel / w.kernel[1] * w.dilation[0] - w.pad[0];
        const int x =
            position % w.Out(1) * w.stride[1] + row % w.kernel[1] * w.dilation[1] - w.pad[1];
        const bool inside = 0 <= y && y < w.size[0] && 0 <= x && x < w.size[1];
        const TypeParam expected =
            inside ? image[(row / kernel * w.size[0] + y) * w.size[1] + x] : 0;
        ASSERT_EQ(expected, columns[row * area + position]) << row << " " << position;
      }
    }
  }
}

TYPED_TEST(Im2colTest, Col2imIsTheTranspose) {
  for (const Window& w : kWindows) {
    const auto image = Gaussian<TypeParam>(w.ImageCount(), 2);
    const auto columns = Gaussian<TypeParam>(w.ColumnCount(), 3);
    const auto unfolded = ToColumns(w, image);
    const auto folded = ToImage(w, columns);
    double left = 0, right = 0;
    for (size_t i = 0; i < columns.size(); ++i) left += double(unfolded[i]) * columns[i];
    for (size_t i = 0; i < image.size(); ++i) right += double(image[i]) * folded[i];
    EXPECT_NEAR(left, right, sizeof(TypeParam) == 4 ? 1e-4 : 1e-10);
  }
}

TEST(Im2col, Col2imCountsTheWindowsOverAPixel) {
  const Window w = {1, {3, 3}, {2, 2}, {0, 0}, {1, 1}, {1, 1}};
  EXPECT_EQ((std::vector<double>{1, 2, 1, 2, 4, 2, 1, 2, 1}),
            ToImage(w, std::vector<double>(w.ColumnCount(), 1)));
}

}  // namespace
}  // namespace testing
}  // namespace caffe

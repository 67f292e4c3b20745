#include "caffe/util/im2col.hpp"
#include "testing/gpu_util.hpp"

namespace caffe {
namespace testing {
namespace {

class Im2colGpu : public GpuTest {};

struct Window {
  int channels, size[2], kernel[2], pad[2], stride[2], dilation[2];
  int Out(int axis) const {
    const int reach = dilation[axis] * (kernel[axis] - 1) + 1;
    return (size[axis] + 2 * pad[axis] - reach) / stride[axis] + 1;
  }
};

const Window kWindows[] = {
    {1, {1, 1}, {1, 1}, {0, 0}, {1, 1}, {1, 1}}, {3, {5, 4}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {2, {6, 7}, {3, 2}, {0, 1}, {2, 3}, {1, 1}}, {2, {7, 8}, {3, 3}, {2, 1}, {1, 2}, {2, 3}},
    {2, {1, 1}, {3, 3}, {1, 1}, {1, 1}, {1, 1}}, {1, {3, 2}, {1, 1}, {2, 2}, {3, 2}, {1, 1}}};

// Both add a pixel's elements in the same order: the results are equal to the last bit.
template <typename Dtype>
void ExpectTheCpus() {
  for (const Window& w : kWindows) {
    const int kernel = w.kernel[0] * w.kernel[1];
    Blob<Dtype> image(1, w.channels, w.size[0], w.size[1]);
    Blob<Dtype> columns(w.channels, kernel, w.Out(0), w.Out(1));
    Blob<Dtype> gpu_image, gpu_columns;
    gpu_image.ReshapeLike(image);
    gpu_columns.ReshapeLike(columns);
    FillGaussian(&image, 1);
    const auto run = [&w](auto* function, const Dtype* from, Dtype* to) {
      function(from, w.channels, w.size[0], w.size[1], w.kernel[0], w.kernel[1], w.pad[0], w.pad[1],
               w.stride[0], w.stride[1], w.dilation[0], w.dilation[1], to);
    };
    run(im2col_cpu<Dtype>, image.cpu_data(), columns.mutable_cpu_data());
    run(im2col_gpu<Dtype>, image.gpu_data(), gpu_columns.overwrite_gpu_data());
    for (int i = 0; i < columns.count(); ++i) {
      ASSERT_EQ(columns.cpu_data()[i], gpu_columns.cpu_data()[i]) << i;
    }
    FillGaussian(&columns, 2);
    run(col2im_cpu<Dtype>, columns.cpu_data(), image.mutable_cpu_data());
    run(col2im_gpu<Dtype>, columns.gpu_data(), gpu_image.overwrite_gpu_data());
    for (int i = 0; i < image.count(); ++i) {
      ASSERT_EQ(image.cpu_data()[i], gpu_image.cpu_data()[i]) << i;
    }
  }
}

TEST_F(Im2colGpu, EqualsTheCpu) {
  const GpuMode mode;
  ExpectTheCpus<float>();
  ExpectTheCpus<double>();
}

}  // namespace
}  // namespace testing
}  // namespace caffe

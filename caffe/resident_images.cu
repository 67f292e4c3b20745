#include "caffe/resident_images.hpp"
#include "caffe/util/layer_kernels.hpp"
#include "util/random_variates.hpp"

namespace caffe {

namespace {

// Block n makes image n of the batch.
template <typename Dtype>
struct TransformImages {
  const uint8_t* images;
  const Dtype* labels;
  const Dtype *mean, *mean_values;  // of every pixel or of every channel; null: 0
  Dtype scale;
  int size, channels;
  uint64_t key, first, skip, stride;
  ImageWindows windows;
  Divisor out_width, out_area;
  Dtype *data, *label;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const uint64_t record = first + block.index();
    const uint64_t image = (skip + record * stride) % size;
    PhiloxEngine engine(PhiloxKey(key, record));
    const ImageWindow window = windows.Choose([&engine](int n) {
      return static_cast<int>(UniformBelow(static_cast<uint32_t>(n), &engine));
    });
    const int area = windows.height * windows.width;
    const int count = channels * windows.out_height * windows.out_width;
    const uint8_t* pixels = images + image * channels * area;
    Dtype* out = data + size_t(block.index()) * count;
    block.Run(count, [&](int i) {
      const int c = out_area.Quotient(i), pixel = out_area.Remainder(i);
      const int h = out_width.Quotient(pixel), w = out_width.Remainder(pixel);
      const int column = window.left + (window.mirror ? windows.out_width - 1 - w : w);
      const int at = c * area + (window.top + h) * windows.width + column;
      const Dtype subtract = mean ? mean[at] : mean_values ? mean_values[c] : Dtype(0);
      out[i] = (Dtype(pixels[at]) - subtract) * scale;
    });
    if (label) block.Run(1, [&](int) { label[block.index()] = labels[image]; });
  }
};

}  // namespace

template <typename Dtype>
ResidentImages<Dtype>::ResidentImages(DataTransformer<Dtype>* transform, const vector<int>& shape,
                                      int count)
    : transform_(transform),
      shape_(shape),
      count_(count),
      pixels_(shape[0] * shape[1] * shape[2]),
      windows_(transform->Windows(shape[0], shape[1], shape[2])),
      images_(memory_.Get<uint8_t>(bytes())),
      labels_(memory_.Get<Dtype>(count)),
      mean_values_(nullptr) {
  vector<Dtype> means = transform->mean_values();
  if (means.empty()) return;
  means.resize(shape[0], means[0]);  // one for all channels
  mean_values_ = memory_.Get<Dtype>(means.size());
  Device::Get().CopyToDevice(mean_values_, means.data(), means.size() * sizeof(Dtype));
}

template <typename Dtype>
bool ResidentImages<Dtype>::Add(const vector<Datum>& images) {
  if (images.size() > size_t(count_ - size_)) return false;
  std::string pixels;
  vector<Dtype> labels;
  for (const Datum& image : images) {
    if (vector<int>{image.channels(), image.height(), image.width()} != shape_) return false;
    if (image.encoded() || image.data().size() != size_t(pixels_)) return false;
    pixels += image.data();
    labels.push_back(image.label());
  }
  Device::Get().CopyToDevice(images_ + size_t(size_) * pixels_, pixels.data(), pixels.size());
  Device::Get().CopyToDevice(labels_ + size_, labels.data(), labels.size() * sizeof(Dtype));
  size_ += static_cast<int>(images.size());
  return true;
}

template <typename Dtype>
void ResidentImages<Dtype>::Transform(const Records& records, int batch, Dtype* data,
                                      Dtype* label) const {
  const int out_area = windows_.out_height * windows_.out_width;
  const Blob<Dtype>& mean = transform_->mean();
  ForEachBlock(
      batch, 256, 0,
      TransformImages<Dtype>{images_, labels_, mean.count() > 0 ? mean.gpu_data() : nullptr,
                             mean_values_, transform_->scale(), size_, shape_[0], records.key,
                             records.first, records.skip, records.stride, windows_,
                             Divisor(windows_.out_width), Divisor(out_area), data, label});
}

INSTANTIATE_CLASS(ResidentImages);

}  // namespace caffe

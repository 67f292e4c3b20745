// The first kernel of MetaPerturb's forward pass on a GPU where a block has a whole image.
#include "caffe/util/device_vectors.hpp"
#include "layers/metaperturb_gpu_image.hpp"

namespace metaperturb {

namespace {

// Image n: the mean of x over the channels and b1 * mean; then in one pass over x the hidden values
// ReLU(a1 * x + b1 * mean) and, in TRAIN, f and the gates of its ReLUs; then the hidden values'
// mean and b2 * it. kStatistics is pass.train.
template <typename Dtype, bool kStatistics, int kSide>
struct ImageMeans {
  static const int kBlockThreads = 512, kBlocksAtOnce = 1;
  GpuPass<Dtype> pass;
  ImageWalk walk;
  size_t Bytes() const {
    return ImageMemory<Dtype>::Bytes(walk) +
           4 * sizeof(Dtype) * walk.strips.per_plane * walk.channels + 16;
  }
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const ImageWalk of = walk.template Known<kSide>();
    const ImageMemory<Dtype> memory(&block, of);
    Dtype* const sums = block.Shared<Dtype>(4 * of.strips.per_plane * of.channels);
    const size_t image = size_t(block.index()) * of.channels * of.area;
    const size_t in_mean = size_t(block.index()) * of.area;
    const Dtype* x = pass.x + image;
    const int at_once = kSide > 0 ? 4 : 1;
    block.template Copy<4>(
        of.channels * of.area / at_once,
        [&](int i) { return caffe::LoadNeighbours<at_once>(x + i * at_once); },
        [&](int i, const caffe::Neighbours<Dtype, at_once>& values) {
          const int c = of.by_area.Quotient(i * at_once), pixel = i * at_once - c * of.area;
          caffe::StoreNeighbours(values, memory.tile + c * of.plane + pixel);
        });
    block.Wait();
    memory.FormMean(block, of);
    memory.SaveHalos(block, of);
    const Kernel3x3<Dtype> b1(pass.phi + kB1);
    block.Run(of.area, [&](int pixel) {
      const int h = of.by_width.Quotient(pixel), w = pixel - h * of.width;
      const Dtype value = StencilAt(memory.mean, b1, h, w);
      memory.through[pixel] = value;
      pass.mean[in_mean + pixel] = memory.mean.At(h, w);
      pass.mean_b1[in_mean + pixel] = value;
    });
    of.ForEachStrip(block, [&](const Band& strip, int index) {
      Hidden(of, memory, strip, index, pass.gates + image, sums);
    });
    block.Wait();
    memory.FormMean(block, of);
    const Kernel3x3<Dtype> b2(pass.phi + kB2);
    block.Run(of.area, [&](int pixel) {
      const int h = of.by_width.Quotient(pixel), w = pixel - h * of.width;
      pass.hidden[in_mean + pixel] = memory.mean.At(h, w);
      pass.hidden_b2[in_mean + pixel] = StencilAt(memory.mean, b2, h, w);
    });
    if (!kStatistics) return;
    Dtype* f = pass.f + size_t(block.index()) * of.channels * 4;
    block.Run(of.channels * 4, [&](int i) {
      Dtype sum = 0;
      for (int p = 0; p < of.strips.per_plane; ++p) sum += sums[p * of.channels * 4 + i];
      f[i] = sum / of.area;
    });
  }

 private:
  CAFFE_HOST_DEVICE void Hidden(const ImageWalk& of, const ImageMemory<Dtype>& memory,
                                const Band& strip, int index, uint8_t* gates, Dtype* sums) const {
    const Dtype* phi = pass.phi;
    const Kernel3x3<Dtype> a1(phi + kA1);
    const Kernel3x3<Dtype> kappa[4] = {
        Kernel3x3<Dtype>(phi + kKappa), Kernel3x3<Dtype>(phi + kKappa + 9),
        Kernel3x3<Dtype>(phi + kKappa + 18), Kernel3x3<Dtype>(phi + kKappa + 27)};
    const Lanes<int> at = of.InTile(strip);
    Lanes<int> pixel;
    Lanes<Dtype> own[4];
    SetZero<4>(own);
    ForEachLane([&](int lane) { pixel[lane] = strip.h0 * of.width + strip.w[lane]; });
    Window<Dtype> x;
    memory.GoDownStrip(
        of, strip, index, true, &x, [](int) {},
        [&](int first, int j, int lane) {
          const int down = (first + j) * of.width;
          const Dtype p = x.Stencil(a1, lane) + memory.through[pixel[lane] + down];
          if (strip.own[lane]) memory.tile[at[lane] + down] = Rectified(p);
          if (!kStatistics) return;
          int passes = 0;
          for (int k = 0; k < 4; ++k) {
            const Dtype v = x.Stencil(kappa[k], lane);
            if (v > 0) passes |= 1 << k;
            own[k][lane] += Rectified(v);
          }
          if (strip.own[lane]) gates[strip.at[lane] + down] = passes;
        });
    if (!kStatistics) return;
    Dtype* to = sums + strip.index * of.channels * 4;
    SumPlanes<4>(of.strips, strip, own,
                 [&](int plane, int k, Dtype sum) { to[plane * 4 + k] = sum; });
  }
};

template <class Kernel, typename Dtype>
bool StartForImages(const GpuPass<Dtype>& pass) {
  const int threads = Kernel::kBlockThreads;
  const Kernel kernel{pass, ImageWalk(pass.channels, pass.height, pass.width, threads)};
  if (!ImageWalk::Fits(pass.width, kernel.Bytes())) return false;
  caffe::ForEachBlock(pass.num, threads, kernel.Bytes(), kernel);
  return true;
}

}  // namespace

template <typename Dtype>
bool GpuImageForward(const GpuPass<Dtype>& pass) {
  // Known images are read four values at once.
  const bool aligned = caffe::FourAtOnce(4, {static_cast<const void*>(pass.x)});
  return WithSide<Dtype>(aligned ? pass.height : 0, pass.width, [&](auto known) {
    const int side = decltype(known)::side;
    return pass.train ? StartForImages<ImageMeans<Dtype, true, side>>(pass)
                      : StartForImages<ImageMeans<Dtype, false, side>>(pass);
  });
}

template bool GpuImageForward(const GpuPass<float>&);
template bool GpuImageForward(const GpuPass<double>&);

}  // namespace metaperturb

// MetaPerturb's backward pass on a GPU where a block has a whole image and phi does not learn, two
// kernels: all that an image's own gradient needs, and, behind the sums over the images, what comes
// through the scale's statistics.
#include "caffe/util/device_workspace.hpp"
#include "layers/metaperturb_gpu_image.hpp"
#include "layers/metaperturb_gpu_kappa.hpp"
#include "layers/metaperturb_gpu_noise.hpp"

namespace metaperturb {

namespace {

// Image n: ThroughNoise; through the outer Op and the ReLU inside, dp = a2 turned * dmu + b2 turned
// * mean_c dmu where it passes; and through the inner Op. dx is all that does not come through s,
// ds[c,n] = sum_hw of s's terms. The tile holds dmu, then dp.
template <typename Dtype, int kSide>
struct ImageGradient {
  static const int kBlockThreads = 1024, kBlocksAtOnce = 1;
  GpuPass<Dtype> pass;
  ImageWalk walk;
  const Dtype* dy;
  Dtype *dx, *ds;
  size_t Bytes() const {
    return ImageMemory<Dtype>::Bytes(walk) + walk.strips.warps * Block::kWarp * sizeof(uint32_t) +
           walk.strips.per_plane * walk.channels * sizeof(Dtype) + 2 * 16;
  }
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const ImageWalk of = walk.template Known<kSide>();
    const ImageMemory<Dtype> memory(&block, of);
    // Of each strip and lane: bit r says whether the ReLU inside mu passes in row r.
    uint32_t* const passes = block.Shared<uint32_t>(of.strips.warps * Block::kWarp);
    Dtype* const sums = block.Shared<Dtype>(of.strips.per_plane * of.channels);
    const size_t image = size_t(block.index()) * of.channels * of.area;
    of.ForEachStrip(block, [&](const Band& strip, int index) {
      Noise(of, memory, strip, image, passes + index * Block::kWarp, sums);
    });
    block.Wait();
    FormThrough(of, memory, block, kB2);
    memory.SaveHalos(block, of);
    block.Wait();
    const Kernel3x3<Dtype> a2(pass.phi + kA2);
    of.ForEachStrip(block, [&](const Band& strip, int index) {
      const Lanes<int> at = of.InTile(strip);
      Window<Dtype> outer;
      memory.GoDownStrip(
          of, strip, index, true, &outer, [](int) {},
          [&](int first, int j, int lane) {
            const int r = first + j, pixel = (strip.h0 + r) * of.width + strip.w[lane];
            const Dtype gradient = outer.TurnedStencil(a2, lane) + memory.through[pixel];
            const bool is_in = passes[index * Block::kWarp + lane] >> r & 1;
            if (strip.own[lane]) {
              memory.tile[at[lane] + r * of.width] = is_in ? gradient : Dtype(0);
            }
          });
    });
    block.Wait();
    FormThrough(of, memory, block, kB1);
    const Kernel3x3<Dtype> a1(pass.phi + kA1);
    of.ForEachStrip(block, [&](const Band& strip, int index) {
      Dtype* to = dx + image;
      Lanes<Dtype> given[4];
      Window<Dtype> inner;
      memory.GoDownStrip(
          of, strip, index, false, &inner,
          [&](int first) { memory.LoadFour(of, strip, first, to, given); },
          [&](int first, int j, int lane) {
            const int r = first + j, pixel = (strip.h0 + r) * of.width + strip.w[lane];
            const Dtype sum =
                given[j][lane] + inner.TurnedStencil(a1, lane) + memory.through[pixel];
            if (strip.own[lane]) to[strip.at[lane] + r * of.width] = sum;
          });
    });
    block.Begin(of.channels, [&](int c) {
      Dtype sum = 0;
      for (int p = 0; p < of.strips.per_plane; ++p) sum += sums[p * of.channels + c];
      ds[c * pass.num + block.index()] = sum;
    });
  }

 private:
  CAFFE_HOST_DEVICE void Noise(const ImageWalk& of, const ImageMemory<Dtype>& memory,
                               const Band& strip, size_t image, uint32_t* passes,
                               Dtype* sums) const {
    const Lanes<int> at = of.InTile(strip);
    Lanes<uint32_t> bits;
    Lanes<Dtype> s, sum;
    ForEachLane([&](int lane) {
      bits[lane] = 0, sum[lane] = 0;
      s[lane] = pass.s[strip.plane[lane]];
    });
    for (int first = 0; first < strip.rows; first += 4) {
      Lanes<Dtype> x[4], z[4], gradient[4];
      memory.LoadFour(of, strip, first, pass.x + image, x);
      memory.LoadFour(of, strip, first, pass.z + image, z);
      memory.LoadFour(of, strip, first, dy + image, gradient);
      Unrolled<4>([&](int j) {
        const int r = first + j;
        if (!of.in_fours && r >= strip.rows) return;
        ForEachLane([&](int lane) {
          const ThroughNoise<Dtype> through(pass, s[lane], x[j][lane], z[j][lane],
                                            gradient[j][lane]);
          sum[lane] += through.to_s;
          bits[lane] |= (std::signbit(z[j][lane]) ? 0u : 1u) << r;
          if (!strip.own[lane]) return;
          memory.tile[at[lane] + r * of.width] = through.to_mu;
          dx[image + strip.at[lane] + r * of.width] = through.to_x;
        });
      });
    }
    ForEachLane([&](int lane) { passes[lane] = bits[lane]; });
    SumPlanes<1>(of.strips, strip, &sum, [&](int plane, int, Dtype total) {
      sums[strip.index * of.channels + plane] = total;
    });
  }
  // through = b turned * the tile's mean
  CAFFE_HOST_DEVICE void FormThrough(const ImageWalk& of, const ImageMemory<Dtype>& memory,
                                     const Block& block, int b) const {
    memory.FormMean(block, of);
    const Kernel3x3<Dtype> kernel(pass.phi + b);
    block.Run(of.area, [&](int pixel) {
      const int h = of.by_width.Quotient(pixel);
      memory.through[pixel] = TurnedStencilAt(memory.mean, kernel, h, pixel - h * of.width);
    });
  }
};

// Adds to dx what comes through the scale's statistics: df[n,c,k] / (H W) where the ReLU of kappa_k
// * x passes, through kappa_k turned around.
template <typename Dtype, int kSide>
struct StatisticsGradient {
  static const int kBlocksOfWarps = 4;
  GpuPass<Dtype> pass;
  Bands all;
  const Dtype* ds;  // C x N
  Dtype* dx;
  static size_t Bytes(const Bands& bands) {
    return KappaTable<Dtype>::Count(bands) * sizeof(Dtype) + bands.together * sizeof(double) + 32;
  }
  CAFFE_HOST_DEVICE void operator()(Block& warp) const {
    const Bands bands = all.Known<kSide>();
    const Band band = BandOf(bands, warp);
    const KappaTable<Dtype> table(&warp, bands);
    double* const through_s = warp.Shared<double>(bands.together);
    Lanes<Dtype> given[kBand];
    Lanes<int> gates[kBand + 2];
    LoadRows<kBand>(bands, band, band.at, 0, dx, given);
    LoadRows<kBand + 2>(bands, band, band.at, -1, pass.gates, gates);
    SumOverImages(bands, band, through_s);
    warp.Wait();
    const Dtype* w = pass.phi + kW;
    const Dtype of_mean = Dtype(1) / pass.num / (pass.height * pass.width);
    const Dtype of_var = Dtype(2) / (pass.num - 1) / (pass.height * pass.width);
    table.Fill(warp, bands, band, pass.phi, [&](int slot, int k) {
      const int plane = band.first + slot, c = pass.by_channels.Remainder(plane);
      const Dtype distance = pass.f[size_t(plane) * 4 + k] - pass.features[c * 8 + k];
      return Dtype(through_s[slot]) * (w[k] * of_mean + w[4 + k] * of_var * distance);
    });
    Window<int> passes;
    GoDown(
        band, [&](int i) { passes.Push(band, gates[i]); },
        [&](int r, int lane) {
          if (!band.own[lane]) return;
          const int slot = band.plane[lane] - band.first;
          Dtype sum = given[r][lane];
          for (int t = 0; t < 9; ++t) sum += table.At(slot, t, passes.At(t, lane));
          dx[band.at[lane] + r * bands.width] = sum;
        });
  }

 private:
  // s' times the sum over the images of ds: a group of lanes, a power of two of them, for each of
  // the band's planes.
  CAFFE_HOST_DEVICE void SumOverImages(const Bands& bands, const Band& band,
                                       double* through_s) const {
    int lanes = Block::kWarp;
    while (lanes * bands.together > Block::kWarp) lanes /= 2;
    Lanes<double> sum;
    Lanes<int> c;
    ForEachLane([&](int lane) {
      const int slot = lane / lanes, plane = band.first + slot;
      sum[lane] = 0;
      c[lane] =
          slot < bands.together && plane < bands.planes ? pass.by_channels.Remainder(plane) : -1;
      if (c[lane] < 0) return;
      const Dtype* of_channel = ds + c[lane] * pass.num;
      for (int n = lane % lanes; n < pass.num; n += lanes) sum[lane] += double(of_channel[n]);
    });
    for (int distance = lanes / 2; distance > 0; distance /= 2) {
      const Lanes<double> other = caffe::FromLane(sum, distance);
      ForEachLane([&](int lane) { sum[lane] += other[lane]; });
    }
    ForEachLane([&](int lane) {
      if (lane % lanes > 0 || c[lane] < 0) return;
      const double s = pass.s[c[lane]];
      through_s[lane / lanes] = sum[lane] * s * (1 - s);
    });
  }
};

}  // namespace

template <typename Dtype>
bool GpuImageBackward(const GpuPass<Dtype>& pass, const Dtype* dy, Dtype* dx) {
  return WithSide<Dtype>(pass.height, pass.width, [&](auto known) {
    const int side = decltype(known)::side;
    typedef ImageGradient<Dtype, side> OfImages;
    typedef StatisticsGradient<Dtype, side> OfStatistics;
    const int threads = OfImages::kBlockThreads;
    const ImageWalk walk(pass.channels, pass.height, pass.width, threads);
    OfImages kernel{pass, walk, dy, dx, nullptr};
    if (!ImageWalk::Fits(pass.width, kernel.Bytes())) return false;
    caffe::DeviceWorkspace work;
    kernel.ds = work.Get<Dtype>(size_t(pass.num) * pass.channels);
    caffe::ForEachBlock(pass.num, threads, kernel.Bytes(), kernel);
    if (!pass.train) return true;  // the running statistics do not depend on x
    const Bands bands(pass.num * pass.channels, pass.height, pass.width);
    caffe::ForEachWarp(bands.warps, OfStatistics::Bytes(bands),
                       OfStatistics{pass, bands, kernel.ds, dx});
    return true;
  });
}

template bool GpuImageBackward(const GpuPass<float>&, const float*, float*);
template bool GpuImageBackward(const GpuPass<double>&, const double*, double*);

}  // namespace metaperturb

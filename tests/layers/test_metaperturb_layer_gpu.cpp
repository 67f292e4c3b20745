#include <gtest/gtest.h>

#include <set>

#include "layers/metaperturb_gpu_bands.hpp"
#include "layers/metaperturb_gpu_image.hpp"
#include "layers/metaperturb_layer.hpp"
#include "testing/golden.hpp"
#include "testing/gpu_util.hpp"
#include "testing/gradient_checker.hpp"

namespace caffe {
namespace {

using testing::FillGaussian;
using testing::LayerRun;
using testing::RelativeError;

LayerParameter Definition(const std::string& inside, Phase phase, bool learn = true) {
  LayerParameter param =
      testing::LayerFromText("name: 'mp' type: 'MetaPerturb' metaperturb_param { " + inside + " }");
  param.set_phase(phase);
  if (learn) param.add_param()->set_name("phi");
  return param;
}

struct Result {
  vector<vector<double>> values;
  MetaPerturbLayer<double>::Spread noise, scale;
};

// Two passes, so that the second one starts from running statistics and another noise.
template <typename Dtype>
Result Run(const LayerParameter& param, const vector<int>& shape, bool with_epsilon) {
  Blob<Dtype> x(shape), epsilon(shape), dy(shape);
  FillGaussian(&x, 1);
  FillGaussian(&epsilon, 2);
  FillGaussian(&dy, 3);
  Caffe::set_random_seed(9);
  vector<Blob<Dtype>*> bottoms = {&x};
  if (with_epsilon) bottoms.push_back(&epsilon);
  LayerRun<Dtype> run(param, bottoms);
  FillGaussian(run.layer->blobs()[0].get(), 4, Dtype(0), Dtype(0.3));
  Result result;
  for (int pass = 0; pass < 2; ++pass) {
    run.Forward();
    const auto& y = *run.top[0];
    result.values.emplace_back(y.cpu_data(), y.cpu_data() + y.count());
    testing::SetDiff(dy, run.top[0]);
    caffe_set(82, Dtype(0.25), run.layer->blobs()[0]->mutable_cpu_diff());
    vector<bool> propagate = {true};
    if (with_epsilon) propagate.push_back(false);
    run.Backward(propagate);
    result.values.emplace_back(x.cpu_diff(), x.cpu_diff() + x.count());
    for (const auto& blob : run.layer->blobs()) {
      result.values.emplace_back(blob->cpu_data(), blob->cpu_data() + blob->count());
    }
    const auto& phi = *run.layer->blobs()[0];
    result.values.emplace_back(phi.cpu_diff(), phi.cpu_diff() + 82);
  }
  const auto& layer = dynamic_cast<MetaPerturbLayer<Dtype>&>(*run.layer);
  result.noise = {layer.NoiseSpread().mean, layer.NoiseSpread().deviation};
  result.scale = {layer.ScaleSpread().mean, layer.ScaleSpread().deviation};
  return result;
}

template <typename Dtype>
void ExpectSame(const std::string& inside, Phase phase, const vector<int>& shape, bool with_epsilon,
                double tolerance, bool learn = true) {
  const LayerParameter param = Definition(inside, phase, learn);
  const Result cpu = Run<double>(param, shape, with_epsilon);
  Result gpu;
  {
    const testing::GpuMode mode;
    gpu = Run<Dtype>(param, shape, with_epsilon);
  }
  ASSERT_EQ(cpu.values.size(), gpu.values.size());
  for (size_t i = 0; i < cpu.values.size(); ++i) {
    ASSERT_EQ(cpu.values[i].size(), gpu.values[i].size());
    EXPECT_LT(RelativeError(gpu.values[i].data(), cpu.values[i].data(),
                            static_cast<int>(cpu.values[i].size())),
              tolerance)
        << "array " << i << ", " << inside << ", " << Phase_Name(phase) << ", shape " << shape[0]
        << " x " << shape[1] << " x " << shape[2] << " x " << shape[3];
  }
  EXPECT_NEAR(cpu.noise.mean, gpu.noise.mean, tolerance * 10);
  EXPECT_NEAR(cpu.noise.deviation, gpu.noise.deviation, tolerance * 10);
  EXPECT_NEAR(cpu.scale.mean, gpu.scale.mean, tolerance * 10);
  EXPECT_NEAR(cpu.scale.deviation, gpu.scale.deviation, tolerance * 10);
}

class MetaPerturbLayerGpu : public testing::GpuTest {};

// The normal numbers are float in either mode, and a GPU's logarithm, sine and cosine are not the
// host's to the last bit.
double WithNoise() {
  return Device::Get().IsEmulated() ? 1e-9 : 1e-5;
}

// Planes of one pixel, of one band and of several, in either direction, with smaller ones at the
// edges; several planes to a warp, which they fill or not, and more channels than a block has
// warps for.
const vector<vector<int>> kShapes = {
    {2, 3, 1, 1},   {3, 5, 4, 7},   {2, 1, 9, 9},    {2, 3, 40, 40},  {2, 2, 3, 700},
    {2, 2, 70, 66}, {2, 3, 300, 1}, {3, 2, 18, 131}, {2, 40, 16, 16}, {3, 11, 8, 32},
    {2, 9, 9, 33},  {2, 2, 9, 56},  {3, 3, 10, 21},  {2, 300, 2, 2},  {5, 70, 8, 8}};

// Images that are a block's: strips of whole planes and of parts of them, more than 32 rows, more
// strips than warps and fewer; and two that are narrow enough but do not fit.
const vector<vector<int>> kImages = {
    {2, 3, 1, 1},    {3, 5, 4, 7},    {2, 1, 9, 9},     {2, 3, 40, 32}, {2, 3, 300, 1},
    {2, 40, 16, 16}, {3, 16, 32, 32}, {35, 9, 5, 5},    {3, 3, 10, 21}, {2, 300, 2, 2},
    {5, 70, 8, 8},   {2, 600, 4, 4},  {2, 300, 16, 16}, {2, 3, 700, 32}};

TEST_F(MetaPerturbLayerGpu, EqualsTheCpuInDouble) {
  for (const auto& shape : kShapes) {
    for (const Phase phase : {TRAIN, TEST}) {
      ExpectSame<double>("clip_value: 2", phase, shape, false, WithNoise());
    }
  }
}

TEST_F(MetaPerturbLayerGpu, EqualsTheCpuInFloat) {
  for (const auto& shape : kShapes) {
    ExpectSame<float>("clip_value: 2", TRAIN, shape, false, 2e-4);
  }
}

TEST_F(MetaPerturbLayerGpu, EqualsTheCpuWithAFrozenPhi) {
  for (const auto& shape : kImages) {
    for (const Phase phase : {TRAIN, TEST}) {
      ExpectSame<double>("clip_value: 2", phase, shape, false, WithNoise(), false);
      ExpectSame<float>("clip_value: 2", phase, shape, false, 2e-4, false);
    }
  }
}

TEST_F(MetaPerturbLayerGpu, EqualsTheCpuForEveryOption) {
  // A narrow plane and a wide one.
  for (const auto& shape : {vector<int>{4, 6, 5, 8}, vector<int>{2, 3, 11, 55}}) {
    for (const Phase phase : {TRAIN, TEST}) {
      ExpectSame<double>("noise: MEAN", phase, shape, false, 1e-9);
      ExpectSame<double>("", phase, shape, true, 1e-9);
      ExpectSame<double>("noise_coeff: 0.5 channel_norm_factor: 10 spatial_norm_factor: 7", phase,
                         shape, false, WithNoise());
      ExpectSame<double>("anneal_iter: 3 moving_average_fraction: 0.6", phase, shape, false,
                         WithNoise());
      ExpectSame<double>("", phase, shape, false, WithNoise(), false);
    }
  }
}

TEST(MetaPerturbBands, CoverThePlanes) {
  using metaperturb::Band;
  using metaperturb::Bands;
  for (const int planes : {1, 3, 32, 37}) {
    for (const int height : {1, 2, 7, 8, 9, 16, 33, 84}) {
      for (const int width : {1, 2, 5, 8, 11, 16, 17, 31, 32, 33, 56, 57, 84, 224, 1001}) {
        SCOPED_TRACE(std::to_string(height) + " x " + std::to_string(width));
        const Bands bands(planes, height, width);
        vector<int> covered(size_t(planes) * height * width);
        for (int i = 0; i < bands.warps; ++i) {
          const Block warp(i, Block::kWarp, nullptr);
          const Band band = metaperturb::BandOf(bands, warp);
          ASSERT_TRUE(band.rows > 0 && band.rows <= metaperturb::kBand);
          ForEachLane([&](int lane) {
            if (!band.own[lane]) return;
            ASSERT_TRUE(band.inside[lane]);
            EXPECT_EQ(band.w[lane] > 0, band.has_left[lane]);
            EXPECT_EQ(band.w[lane] + 1 < width, band.has_right[lane]);
            // What its stencils of stencils read is in the lanes beside it.
            for (int d = -metaperturb::kBeside; d <= metaperturb::kBeside; ++d) {
              const int w = band.w[lane] + d;
              if (w < 0 || w >= width) continue;
              ASSERT_TRUE(lane + d >= 0 && lane + d < Block::kWarp);
              EXPECT_EQ(w, band.w[lane + d]);
              EXPECT_TRUE(band.inside[lane + d]);
            }
            for (int r = 0; r < band.rows; ++r) {
              const size_t at = band.at[lane] + size_t(r) * width;
              ASSERT_LT(at, covered.size());
              ++covered[at];
            }
          });
        }
        EXPECT_EQ(vector<int>(covered.size(), 1), covered);
      }
    }
  }
}

// Of an image that a block has: each element is in one strip, and what warps read at the same time
// lies in different banks of the shared memory.
TEST(MetaPerturbImageWalk, CoversTheImage) {
  using metaperturb::Band;
  using metaperturb::ImageWalk;
  for (const int threads : {512, 1024}) {
    for (const int channels : {1, 3, 16, 70, 300}) {
      for (const int height : {1, 4, 7, 8, 32, 33, 100}) {
        for (const int width : {1, 2, 4, 5, 8, 11, 16, 31, 32}) {
          SCOPED_TRACE(std::to_string(channels) + " x " + std::to_string(height) + " x " +
                       std::to_string(width));
          const ImageWalk walk(channels, height, width, threads);
          ASSERT_GE(walk.plane, walk.area);
          ASSERT_TRUE(walk.strips.rows <= 32 && walk.strips.rows % 4 == 0);
          vector<int> covered(size_t(channels) * walk.area);
          for (int i = 0; i < walk.strips.warps; ++i) {
            const Band strip = metaperturb::BandOf(walk.strips, i);
            ASSERT_TRUE(strip.rows > 0 && strip.rows <= walk.strips.rows);
            ASSERT_TRUE(!walk.in_fours || strip.rows % 4 == 0);
            std::set<int> banks;
            int lanes = 0;
            const Lanes<int> in_tile = walk.InTile(strip);
            ForEachLane([&](int lane) {
              if (!strip.own[lane]) return;
              ++lanes;
              banks.insert(in_tile[lane] % 32);
              for (int r = 0; r < strip.rows; ++r) ++covered[strip.at[lane] + r * width];
            });
            const bool is_power = (width & (width - 1)) == 0;
            ASSERT_TRUE(!is_power || lanes == static_cast<int>(banks.size()));
          }
          EXPECT_EQ(vector<int>(covered.size(), 1), covered);
        }
      }
    }
  }
}

// A kernel that knows the planes' side goes through them in the same way.
TEST(MetaPerturbImageWalk, KnowsTheSide) {
  for (const int channels : {3, 16, 70}) {
    const metaperturb::ImageWalk walk(channels, 8, 8, 512), known = walk.Known<8>();
    EXPECT_EQ(walk.plane, known.plane);
    EXPECT_EQ(walk.area, known.area);
    EXPECT_EQ(walk.in_fours, known.in_fours);
    EXPECT_EQ(walk.strips.together, known.strips.together);
    EXPECT_EQ(walk.strips.pitch, known.strips.pitch);
    for (int i = 0; i < channels * walk.area; ++i) {
      ASSERT_EQ(walk.by_area.Quotient(i), known.by_area.Quotient(i));
      ASSERT_EQ(walk.by_width.Quotient(i), known.by_width.Quotient(i));
    }
    for (int lane = 0; lane < 32; ++lane) {
      EXPECT_EQ(walk.strips.by_pitch.Quotient(lane), known.strips.by_pitch.Quotient(lane));
    }
  }
}

TEST_F(MetaPerturbLayerGpu, GradientCheck) {
  const testing::GpuMode mode;
  Blob<double> x(3, 4, 5, 4), epsilon(3, 4, 5, 4);
  FillGaussian(&x, 1);
  FillGaussian(&epsilon, 2);
  LayerRun<double> run(Definition("", TRAIN), {&x, &epsilon});
  FillGaussian(run.layer->blobs()[0].get(), 3, 0.0, 0.3);
  GradientChecker<double> checker(1e-5, 1e-4);
  checker.CheckGradient(run.layer.get(), run.bottom, run.top, 0);
}

TEST_F(MetaPerturbLayerGpu, BothPassesAreInOneMode) {
  Blob<float> x(3, 4, 5, 6);
  FillGaussian(&x, 1);
  LayerRun<float> run(Definition("", TRAIN), {&x});
  run.Forward();
  {
    const testing::GpuMode mode;
    EXPECT_ERROR(run.Backward(), "needs a forward pass in GPU mode");
    run.Forward();
  }
  EXPECT_ERROR(run.Backward(), "needs a forward pass in CPU mode");
}

// The layer before a ReLU in place computes it.
TEST_F(MetaPerturbLayerGpu, ComputesAnAbsorbedRelu) {
  for (const auto& shape : {vector<int>{3, 4, 5, 6}, vector<int>{2, 3, 4, 37}}) {
    Blob<float> x(shape), dy(shape);
    FillGaussian(&x, 1);
    FillGaussian(&dy, 2);
    LayerRun<float> run(Definition("", TEST), {&x});
    const auto relu = LayerRegistry<float>::CreateLayer(
        testing::LayerFromText("name: 'relu' type: 'ReLU' relu_param { negative_slope: 0.1 }"));
    ASSERT_TRUE(run.layer->Absorb(relu.get()));
    vector<vector<float>> values;
    for (const Caffe::Brew brew : {Caffe::CPU, Caffe::GPU}) {
      Caffe::set_mode(brew);
      run.layer->set_next_pass(0);
      run.Forward();
      values.emplace_back(run.top[0]->cpu_data(), run.top[0]->cpu_data() + x.count());
      testing::SetDiff(dy, run.top[0]);
      run.Backward();
      values.emplace_back(x.cpu_diff(), x.cpu_diff() + x.count());
    }
    Caffe::set_mode(Caffe::CPU);
    EXPECT_LT(RelativeError(values[2].data(), values[0].data(), x.count()), 1e-5);
    EXPECT_LT(RelativeError(values[3].data(), values[1].data(), x.count()), 1e-5);
  }
}

class MetaPerturbGoldenGpu : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    string why_not;
    if (!Device::IsThere(&why_not)) GTEST_SKIP() << why_not;
  }
};
TEST_P(MetaPerturbGoldenGpu, Float) {
  const testing::GpuMode mode;
  testing::CheckGolden<float>(GetParam(), 1e-4);
}
TEST_P(MetaPerturbGoldenGpu, Double) {
  const testing::GpuMode mode;
  testing::CheckGolden<double>(GetParam(), 1e-7);
}
INSTANTIATE_TEST_SUITE_P(Golden, MetaPerturbGoldenGpu, ::testing::ValuesIn(testing::kGoldenNames));

}  // namespace
}  // namespace caffe

#include "layers/metaperturb_layer.hpp"

#include <omp.h>

#include "caffe/util/io.hpp"
#include "layers/metaperturb_reference.hpp"
#include "testing/blob_util.hpp"
#include "testing/golden.hpp"
#include "testing/gradient_checker.hpp"
#include "util/cpu_features.hpp"

namespace caffe {
namespace {

using testing::FillGaussian;
using testing::LayerFromText;
using testing::LayerRun;
using testing::RelativeError;

INSTANTIATE_GOLDEN_TESTS(GoldenTest);

LayerParameter Definition(const std::string& inside, Phase phase = TRAIN) {
  LayerParameter param =
      LayerFromText("name: 'mp' type: 'MetaPerturb' metaperturb_param { " + inside + " }");
  param.set_phase(phase);
  return param;
}

template <typename Dtype>
void SetPhi(Layer<Dtype>* layer, uint64_t seed, double std = 0.3) {
  FillGaussian(layer->blobs()[0].get(), seed, Dtype(0), Dtype(std));
}

TEST(MetaPerturbLayerTest, GradientCheckInTrain) {
  Blob<double> x(3, 4, 5, 4), epsilon(3, 4, 5, 4);
  FillGaussian(&x, 1);
  FillGaussian(&epsilon, 2);
  LayerParameter param = Definition("clip_value: 100");
  param.add_param()->set_name("phi");
  LayerRun<double> run(param, {&x, &epsilon});
  SetPhi(run.layer.get(), 3);
  GradientChecker<double> checker(1e-5, 1e-4);
  checker.CheckGradient(run.layer.get(), run.bottom, run.top, 0);
}

TEST(MetaPerturbLayerTest, GradientCheckInTestWithSampledNoise) {
  Blob<double> x(2, 3, 4, 5);
  FillGaussian(&x, 4);
  LayerParameter param = Definition("noise_coeff: 0.7", TEST);
  param.add_param()->set_name("phi");
  LayerRun<double> run(param, {&x});
  SetPhi(run.layer.get(), 5);
  GradientChecker<double> checker(1e-5, 1e-4);
  checker.CheckGradient(run.layer.get(), run.bottom, run.top);
}

// y, dx and phi's gradient of a pass on images of that size.
std::vector<float> Outcome(LayerRun<float>* run, Blob<float>* x, int height, int width) {
  x->Reshape(2, x->channels(), height, width);
  FillGaussian(x, 8);
  run->Forward();
  float* dy = run->top[0]->mutable_cpu_diff();
  for (int i = 0; i < x->count(); ++i) dy[i] = 0.1f * static_cast<float>(i % 7) - 0.3f;
  Blob<float>& phi = *run->layer->blobs()[0];
  std::fill_n(phi.mutable_cpu_diff(), phi.count(), 0.0f);
  run->layer->Backward(run->top, {true}, run->bottom);
  std::vector<float> outcome(run->top[0]->cpu_data(), run->top[0]->cpu_data() + x->count());
  outcome.insert(outcome.end(), x->cpu_diff(), x->cpu_diff() + x->count());
  outcome.insert(outcome.end(), phi.cpu_diff(), phi.cpu_diff() + phi.count());
  return outcome;
}

// Shapes that ask for as much scratch memory, with channels in blocks of 16 and of 8.
TEST(MetaPerturbLayerTest, OtherImageSizesLeaveNothingBehind) {
  struct Sizes {
    int channels, before[2], after[2];
  };
  const Sizes all[] = {{16, {7, 24}, {9, 20}}, {64, {16, 24}, {7, 48}}, {8, {7, 16}, {16, 8}}};
  for (const Phase phase : {TRAIN, TEST}) {
    for (const Sizes& sizes : all) {
      LayerParameter param = Definition("noise: MEAN", phase);
      param.add_param()->set_name("phi");
      std::vector<float> outcomes[2];
      for (const bool used_before : {false, true}) {
        Blob<float> x(2, sizes.channels, sizes.before[0], sizes.before[1]);
        FillGaussian(&x, 7, 5.0f);
        LayerRun<float> run(param, {&x});
        SetPhi(run.layer.get(), 3);
        if (used_before) Outcome(&run, &x, sizes.before[0], sizes.before[1]);
        for (int i = 1; i < 3; ++i) {  // running statistics
          Blob<float>& blob = *run.layer->blobs()[i];
          std::fill_n(blob.mutable_cpu_data(), blob.count(), 0.5f);
        }
        outcomes[used_before] = Outcome(&run, &x, sizes.after[0], sizes.after[1]);
      }
      EXPECT_EQ(outcomes[0], outcomes[1]) << sizes.channels << " channels";
    }
  }
}

// y / (s x) is z where nothing is clipped and a = 1.
template <typename Dtype>
void ExpectSpreads() {
  Blob<Dtype> x(3, 19, 4, 5);
  FillGaussian(&x, 6);
  LayerRun<Dtype> run(Definition("clip_value: 1e6"), {&x});
  SetPhi(run.layer.get(), 7);
  run.Forward();
  const auto& layer = dynamic_cast<MetaPerturbLayer<Dtype>&>(*run.layer);
  const vector<Dtype> s = layer.Scale();
  double sum = 0, squares = 0, s_sum = 0, s_squares = 0;
  for (int i = 0; i < x.count(); ++i) {
    const double z = double{run.top[0]->cpu_data()[i]} / x.cpu_data()[i] / s[i / 20 % 19];
    sum += z;
    squares += z * z;
  }
  for (const Dtype value : s) {
    s_sum += value;
    s_squares += double{value} * value;
  }
  const double mean = sum / x.count(), s_mean = s_sum / 19;
  EXPECT_NEAR(mean, layer.NoiseSpread().mean, 1e-4);
  EXPECT_NEAR(std::sqrt(squares / x.count() - mean * mean), layer.NoiseSpread().deviation, 1e-3);
  EXPECT_GT(layer.NoiseSpread().deviation, 0.1);
  EXPECT_NEAR(s_mean, layer.ScaleSpread().mean, 1e-6);
  EXPECT_NEAR(std::sqrt(s_squares / 19 - s_mean * s_mean), layer.ScaleSpread().deviation, 1e-6);
}
TEST(MetaPerturbLayerTest, SpreadsInFloat) {
  ExpectSpreads<float>();
}
TEST(MetaPerturbLayerTest, SpreadsInDouble) {
  ExpectSpreads<double>();
}

struct Shape {
  int n, c, h, w;
};

class KernelTest : public ::testing::TestWithParam<Shape> {};

// The fused kernels against the plain loops in double, forward and backward.
TEST_P(KernelTest, FloatAgreesWithDouble) {
  const Shape s = GetParam();
  Blob<float> x(s.n, s.c, s.h, s.w), dy(s.n, s.c, s.h, s.w);
  Blob<double> xd(s.n, s.c, s.h, s.w), dyd(s.n, s.c, s.h, s.w);
  FillGaussian(&xd, 10);
  FillGaussian(&dyd, 11);
  std::copy(xd.cpu_data(), xd.cpu_data() + xd.count(), x.mutable_cpu_data());
  std::copy(dyd.cpu_data(), dyd.cpu_data() + dyd.count(), dy.mutable_cpu_data());
  for (const Phase phase : {TRAIN, TEST}) {
    Caffe::set_random_seed(77);
    const LayerParameter param = Definition("clip_value: 2", phase);
    LayerRun<float> fast(param, {&x});
    Caffe::set_random_seed(77);  // the same noise
    LayerRun<double> plain(param, {&xd});
    SetPhi(plain.layer.get(), 12);
    const Blob<double>& phi = *plain.layer->blobs()[0];
    std::copy(phi.cpu_data(), phi.cpu_data() + 82, fast.layer->blobs()[0]->mutable_cpu_data());
    fast.Forward();
    plain.Forward();
    EXPECT_LT(RelativeError(fast.top[0]->cpu_data(), plain.top[0]->cpu_data(), x.count()), 2e-5);
    testing::SetDiff(dy, fast.top[0]);
    testing::SetDiff(dyd, plain.top[0]);
    std::fill_n(fast.layer->blobs()[0]->mutable_cpu_diff(), 82, 0.0f);
    std::fill_n(plain.layer->blobs()[0]->mutable_cpu_diff(), 82, 0.0);
    fast.Backward();
    plain.Backward();
    // An element at a kink of a ReLU may fall on either side in float: compare the mean error, too.
    EXPECT_LT(RelativeError(x.cpu_diff(), xd.cpu_diff(), x.count()), 1e-3);
    EXPECT_LT(RelativeError(fast.layer->blobs()[0]->cpu_diff(), phi.cpu_diff(), 82), 1e-3);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, KernelTest,
                         ::testing::Values(Shape{2, 1, 1, 1}, Shape{3, 16, 1, 1},
                                           Shape{2, 17, 1, 3}, Shape{4, 5, 3, 1}, Shape{2, 8, 7, 9},
                                           Shape{3, 24, 6, 5}, Shape{2, 40, 4, 4},
                                           Shape{5, 33, 2, 8}));

TEST(MetaPerturbLayerTest, InstructionSetByName) {
  const char* avx2 = CpuHasAvx2() ? "avx2" : "generic";
  const char* best = CpuHasAvx512() ? "avx512" : avx2;
  EXPECT_STREQ(metaperturb::KernelsFor("generic").name, "generic");
  EXPECT_STREQ(metaperturb::KernelsFor("avx2").name, avx2);
  EXPECT_STREQ(metaperturb::KernelsFor("avx512").name, best);
  EXPECT_STREQ(metaperturb::KernelsFor("").name, best);
  EXPECT_STREQ(metaperturb::KernelsFor(nullptr).name, best);
  EXPECT_THROW(metaperturb::KernelsFor("AVX2"), Error);
}

TEST(MetaPerturbLayerTest, EveryInstructionSetAgreesWithTheReference) {
  metaperturb::NoiseSource noise;
  noise.sample = true;
  noise.key = 12345;
  noise.pass = (uint64_t{1} << 32) + 7;
  noise.image = 3;
  const std::vector<const metaperturb::Kernels*> all = {&metaperturb::KernelsFor("generic"),
                                                        &metaperturb::KernelsFor("avx2"),
                                                        &metaperturb::KernelsFor("avx512")};
  for (const metaperturb::Kernels* kernels : all) {
    const int block = kernels->block;
    metaperturb::ImageShape shape;
    shape.channels = 21;
    shape.height = 7;
    shape.width = 9;
    shape.groups = (shape.channels + block - 1) / block;
    const int area = shape.height * shape.width;
    metaperturb::AlignedVector<float> sampled(area * block);
    std::vector<double> expected(area);
    for (int c = 0; c < shape.channels; ++c) {
      kernels->sample(noise, shape, c / block, sampled.data());
      metaperturb::Reference<double>::Sample(shape, noise, c, expected.data());
      for (int i = 0; i < area; ++i) {
        ASSERT_NEAR(sampled[i * block + c % block], expected[i], 5e-6) << kernels->name;
      }
    }
  }
}

TEST(MetaPerturbLayerTest, PermutedChannelsGivePermutedOutput) {
  const int channels = 6, area = 20;
  Blob<double> x(3, channels, 4, 5), permuted(3, channels, 4, 5);
  FillGaussian(&x, 20);
  const int order[channels] = {3, 0, 5, 1, 4, 2};
  for (int n = 0; n < 3; ++n) {
    for (int c = 0; c < channels; ++c) {
      std::copy_n(x.cpu_data() + x.offset(n, order[c]), area,
                  permuted.mutable_cpu_data() + permuted.offset(n, c));
    }
  }
  LayerRun<double> a(Definition("noise: MEAN"), {&x}), b(Definition("noise: MEAN"), {&permuted});
  SetPhi(a.layer.get(), 21);
  SetPhi(b.layer.get(), 21);
  a.Forward();
  b.Forward();
  for (int n = 0; n < 3; ++n) {
    for (int c = 0; c < channels; ++c) {
      for (int i = 0; i < area; ++i) {
        ASSERT_NEAR(b.top[0]->cpu_data()[x.offset(n, c) + i],
                    a.top[0]->cpu_data()[x.offset(n, order[c]) + i], 1e-12);
      }
    }
  }
}

TEST(MetaPerturbLayerTest, CoefficientZeroIsTheIdentityUpToClipping) {
  Blob<float> x(2, 10, 6, 6);
  FillGaussian(&x, 30);
  LayerRun<float> run(Definition("noise_coeff: 0 clip_value: 1.5"), {&x});
  SetPhi(run.layer.get(), 31);
  run.Forward();
  for (int i = 0; i < x.count(); ++i) {
    ASSERT_EQ(run.top[0]->cpu_data()[i], std::min(x.cpu_data()[i], 1.5f));
  }
}

TEST(MetaPerturbLayerTest, ResultsDoNotDependOnTheNumberOfThreads) {
  std::vector<std::vector<float>> results;
  const int threads_before = omp_get_max_threads();
  for (const int threads : {1, 2, 3}) {
    omp_set_num_threads(threads);
    Caffe::set_random_seed(5);
    Blob<float> x(7, 20, 9, 8);
    FillGaussian(&x, 40);
    LayerRun<float> run(Definition(""), {&x});
    SetPhi(run.layer.get(), 41);
    run.Forward();
    testing::SetDiff(*run.top[0], run.top[0]);
    std::fill_n(run.layer->blobs()[0]->mutable_cpu_diff(), 82, 0.0f);
    run.Backward();
    std::vector<float> all(run.top[0]->cpu_data(), run.top[0]->cpu_data() + x.count());
    all.insert(all.end(), x.cpu_diff(), x.cpu_diff() + x.count());
    const float* dphi = run.layer->blobs()[0]->cpu_diff();
    all.insert(all.end(), dphi, dphi + 82);
    results.push_back(all);
  }
  omp_set_num_threads(threads_before);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(MetaPerturbLayerTest, CoefficientRisesWhileItIsAnnealed) {
  Blob<double> x(2, 3, 4, 4);
  FillGaussian(&x, 50);
  LayerRun<double> run(Definition("anneal_iter: 2 noise: MEAN"), {&x});
  LayerRun<double> full(Definition("noise: MEAN"), {&x});
  SetPhi(run.layer.get(), 51);
  SetPhi(full.layer.get(), 51);
  full.Forward();
  for (const double a : {0.0, 0.5, 1.0, 1.0}) {
    run.Forward();
    for (int i = 0; i < x.count(); ++i) {
      const double expected = x.cpu_data()[i] + a * (full.top[0]->cpu_data()[i] - x.cpu_data()[i]);
      ASSERT_NEAR(run.top[0]->cpu_data()[i], expected, 1e-12) << "a = " << a;
    }
  }
  EXPECT_EQ(run.layer->blobs()[3]->cpu_data()[0], 4);
}

TEST(MetaPerturbLayerTest, NoiseDiffersBetweenPassesAndRepeatsForOnePass) {
  Caffe::set_random_seed(3);
  Blob<float> x(2, 3, 8, 8);
  FillGaussian(&x, 60);
  LayerRun<float> run(Definition("", TEST), {&x});
  const auto output = [&run] {
    run.Forward();
    return std::vector<float>(run.top[0]->cpu_data(), run.top[0]->cpu_data() + 2 * 3 * 64);
  };
  const auto first = output();
  EXPECT_NE(first, output());
  dynamic_cast<MetaPerturbLayer<float>&>(*run.layer).set_next_pass(0);
  EXPECT_EQ(first, output());
}

TEST(MetaPerturbLayerTest, PhiIsFrozenUnlessNamed) {
  Blob<float> x(2, 3, 4, 4);
  LayerRun<float> frozen(Definition(""), {&x});
  ASSERT_EQ(frozen.layer->layer_param().param_size(), 4);
  for (const ParamSpec& spec : frozen.layer->layer_param().param()) {
    EXPECT_EQ(spec.lr_mult(), 0);
    EXPECT_EQ(spec.decay_mult(), 0);
  }
  LayerParameter param = Definition("");
  param.add_param()->set_name("phi");
  LayerRun<float> shared(param, {&x});
  EXPECT_EQ(shared.layer->layer_param().param(0).lr_mult(), 1);
  EXPECT_EQ(shared.layer->layer_param().param(1).lr_mult(), 0);
}

TEST(MetaPerturbLayerTest, ARandomPhiThatIsNotLearnedIsAWarning) {
  Blob<float> x(2, 3, 4, 4);
  LayerParameter learned = Definition("");
  learned.add_param()->set_name("phi");
  ::testing::internal::CaptureStderr();
  const LayerRun<float> random(Definition(""), {&x});
  EXPECT_NE(std::string::npos,
            ::testing::internal::GetCapturedStderr().find("Layer 'mp': phi is random"));
  FLAGS_minloglevel = google::GLOG_WARNING;  // a host logs each layer that it makes
  ::testing::internal::CaptureStderr();
  const LayerRun<float> test(Definition("", TEST), {&x}), other(learned, {&x});
  EXPECT_EQ("", ::testing::internal::GetCapturedStderr());
  FLAGS_minloglevel = google::GLOG_INFO;
}

TEST(MetaPerturbLayerTest, LoadsPhiFromFiles) {
  std::string folder;
  MakeTempDir(&folder);
  NetParameter net;
  LayerParameter* layer = net.add_layer();
  layer->set_name("any");
  layer->set_type("MetaPerturb");
  BlobProto* blob = layer->add_blobs();
  blob->mutable_shape()->add_dim(82);
  for (int i = 0; i < 82; ++i) blob->add_data(i * 0.5f);
  WriteProtoToBinaryFile(net, folder + "/phi.caffemodel");
  WriteProtoToTextFile(net, folder + "/phi.prototxt");
  WriteProtoToBinaryFile(*blob, folder + "/phi.binaryproto");
  Blob<float> x(2, 3, 4, 4);
  for (const char* name : {"phi.caffemodel", "phi.prototxt", "phi.binaryproto"}) {
    LayerRun<float> run(Definition("phi: '" + folder + "/" + name + "'"), {&x});
    EXPECT_EQ(run.layer->blobs()[0]->cpu_data()[81], 40.5f) << name;
  }
}

TEST(MetaPerturbLayerTest, MistakesAreNamed) {
  Blob<float> x(2, 3, 4, 4), one(1, 3, 4, 4), other(2, 3, 4, 5), flat(std::vector<int>{2, 3});
  EXPECT_ERROR(LayerRun<float>(Definition(""), {&one}), "batch holds 1 image");
  EXPECT_ERROR(LayerRun<float>(Definition(""), {&flat}), "2 3 (6)");
  EXPECT_ERROR(LayerRun<float>(Definition(""), {&x, &other}), "2 3 4 5 (120)");
  EXPECT_ERROR(LayerRun<float>(Definition("noise_coeff: 2"), {&x}), "noise_coeff is 2");
  EXPECT_ERROR(LayerRun<float>(Definition("clip_value: -1"), {&x}), "clip_value is -1");
  EXPECT_ERROR(LayerRun<float>(Definition("clip_value: nan"), {&x}), "clip_value is ");
  EXPECT_ERROR(LayerRun<float>(Definition("phi: '/no/such.caffemodel'"), {&x}),
               "/no/such.caffemodel");
  std::string folder;
  MakeTempDir(&folder);
  BlobProto small;
  small.mutable_shape()->add_dim(81);
  for (int i = 0; i < 81; ++i) small.add_data(0);
  WriteProtoToBinaryFile(small, folder + "/phi.binaryproto");
  EXPECT_ERROR(LayerRun<float>(Definition("phi: '" + folder + "/phi.binaryproto'"), {&x}),
               "phi has 81 values where 82");
  shared_ptr<Layer<float>> layer = LayerRegistry<float>::CreateLayer(Definition(""));
  EXPECT_ERROR(layer->SetUp({&x}, {&x}), "cannot work in place");
  Blob<float> empty(x.num(), x.channels(), 0, 3);
  EXPECT_ERROR(LayerRun<float>(Definition(""), {&empty}), "the bottom has no elements");
}

}  // namespace
}  // namespace caffe

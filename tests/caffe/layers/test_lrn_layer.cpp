#include "caffe/layers/lrn_layer.hpp"

#include "testing/gradient_checker.hpp"
#include "testing/layer_result.hpp"

namespace caffe {
namespace testing {
namespace {

std::string Lrn(const std::string& settings) {
  return "name: 'n' type: 'LRN' lrn_param { " + settings + " }";
}

const char kWithin[] = "norm_region: WITHIN_CHANNEL local_size: 3 ";

// The definition, element by element.
template <typename Dtype>
double Reference(const Blob<Dtype>& x, int n, int c, int h, int w, const LRNParameter& param) {
  const bool across = param.norm_region() == LRNParameter_NormRegion_ACROSS_CHANNELS;
  const int size = param.local_size(), r = size / 2;
  double sum = 0;
  for (int cc = 0; cc < x.channels(); ++cc) {
    for (int hh = 0; hh < x.height(); ++hh) {
      for (int ww = 0; ww < x.width(); ++ww) {
        const bool inside = across ? std::abs(cc - c) <= r && hh == h && ww == w
                                   : cc == c && std::abs(hh - h) <= r && std::abs(ww - w) <= r;
        if (inside) sum += double(x.data_at(n, cc, hh, ww)) * x.data_at(n, cc, hh, ww);
      }
    }
  }
  const double scale =
      (across ? param.k() : 1) + param.alpha() / (across ? size : size * size) * sum;
  return x.data_at(n, c, h, w) / std::pow(scale, param.beta());
}

template <typename Dtype>
class LRNLayerTest : public ::testing::Test {};
typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(LRNLayerTest, Dtypes);

TYPED_TEST(LRNLayerTest, Definition) {
  Blob<TypeParam> x(2, 7, 4, 5);
  FillGaussian<TypeParam>(&x, 1);
  for (const std::string& settings :
       {std::string(), std::string("local_size: 3 alpha: 2 beta: 0.6 k: 2"),
        std::string("local_size: 15"), std::string(kWithin), kWithin + std::string("k: 3"),
        std::string("norm_region: WITHIN_CHANNEL alpha: 5 beta: 1.5")}) {
    SCOPED_TRACE(settings);
    const LayerParameter param = LayerFromText(Lrn(settings));
    LayerRun<TypeParam> run(param, {&x});
    run.Forward();
    for (int n = 0; n < 2; ++n) {
      for (int c = 0; c < 7; ++c) {
        for (int h = 0; h < 4; ++h) {
          for (int w = 0; w < 5; ++w) {
            ASSERT_NEAR(Reference(x, n, c, h, w, param.lrn_param()),
                        run.top[0]->data_at(n, c, h, w), 1e-5);
          }
        }
      }
    }
  }
}

TEST(LRNLayer, Gradient) {
  for (const std::string& settings :
       {std::string("local_size: 3"), std::string("alpha: 2 beta: 0.6 k: 2"),
        std::string(kWithin)}) {
    SCOPED_TRACE(settings);
    Blob<double> x(2, 5, 3, 3), y;
    FillGaussian<double>(&x, 2);
    LRNLayer<double> layer(LayerFromText(Lrn(settings)));
    GradientChecker<double>(1e-4, 1e-6).CheckGradientExhaustive(&layer, {&x}, {&y});
  }
}

TEST(LRNLayer, AllLayoutsAgree) {
  RunOptions options;
  options.keeps_block = false;
  ExpectAllLayoutsAgree(Lrn(""), {{2, 19, 3, 3}}, false, options);
  ExpectAllLayoutsAgree(Lrn(kWithin), {{2, 19, 3, 3}}, false, options);
}

TEST(LRNLayer, Errors) {
  Blob<float> x(2, 3, 2, 2), flat(vector<int>{2, 3});
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Lrn("local_size: 4")), {&x}),
               "local_size is 4; it has to be odd");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Lrn("local_size: 0")), {&x}), "local_size is 0");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Lrn("")), {&flat}), "2 3 (6)");
  LRNLayer<float> layer(LayerFromText(Lrn("")));
  EXPECT_ERROR(layer.SetUp({&x}, {&x}), "cannot work in place");
}

}  // namespace
}  // namespace testing
}  // namespace caffe

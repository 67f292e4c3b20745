#include "layers/dropblock_layer.hpp"

#include "testing/gradient_checker.hpp"
#include "testing/noise_util.hpp"

namespace caffe {
namespace testing {
namespace {

std::string Text(const std::string& inside, const std::string& more = "") {
  return "name: 'db' type: 'DropBlock' dropblock_param { " + inside + " } " + more;
}

// Of ones: every dropped element lies in a wholly dropped square inside its map, and the others
// are count / count_ones.
TEST(DropBlockLayer, SquaresAndScale) {
  Caffe::set_random_seed(41);
  Blob<double> x(4, 6, 9, 11);
  FillConstant(&x, 1.0);
  LayerRun<double> run(LayerFromText(Text("drop_prob: 0.3 block_size: 3")), {&x});
  run.Forward();
  const Blob<double>& y = *run.top[0];
  int ones = 0;
  for (int i = 0; i < x.count(); ++i) ones += y.cpu_data()[i] != 0;
  ASSERT_GT(ones, x.count() / 2);
  ASSERT_LT(ones, x.count() * 9 / 10);
  const auto dropped = [&y](int n, int c, int h, int w) { return y.data_at(n, c, h, w) == 0; };
  const auto square = [&](int n, int c, int top, int left) {
    for (int h = top; h < top + 3; ++h) {
      for (int w = left; w < left + 3; ++w) {
        if (!dropped(n, c, h, w)) return false;
      }
    }
    return true;
  };
  for (int i = 0; i < x.count(); ++i) {
    const int n = i / (6 * 99), c = i / 99 % 6, h = i / 11 % 9, w = i % 11;
    if (!dropped(n, c, h, w)) {
      ASSERT_NEAR(double(x.count()) / ones, y.cpu_data()[i], 1e-12);
      continue;
    }
    bool inside = false;
    for (int top = std::max(0, h - 2); top <= std::min(6, h); ++top) {
      for (int left = std::max(0, w - 2); left <= std::min(8, w); ++left) {
        inside = inside || square(n, c, top, left);
      }
    }
    ASSERT_TRUE(inside) << "element " << i;
  }
}

// An element is kept with probability (1 - gamma)^k, k the number of squares that cover it.
void ExpectFrequencies(const std::string& inside, double drop, int size, int height, int width) {
  SCOPED_TRACE(inside);
  Caffe::set_random_seed(42);
  const int maps = 4000;
  Blob<float> x(40, 100, height, width);
  FillConstant(&x, 1.f);
  LayerRun<float> run(LayerFromText(Text(inside)), {&x});
  run.Forward();
  const int rows = height - size + 1, columns = width - size + 1;
  const double gamma = drop / (size * size) * (height * width) / double(rows * columns);
  for (int h = 0; h < height; ++h) {
    for (int w = 0; w < width; ++w) {
      int kept = 0, covering = 0;
      for (int map = 0; map < maps; ++map) {
        kept += run.top[0]->cpu_data()[(map * height + h) * width + w] != 0;
      }
      for (int top = 0; top < rows; ++top) {
        for (int left = 0; left < columns; ++left) {
          covering += h >= top && h < top + size && w >= left && w < left + size;
        }
      }
      const double p = std::pow(1 - gamma, covering);
      EXPECT_NEAR(p, double(kept) / maps, 5 * std::sqrt(p * (1 - p) / maps)) << h << " " << w;
    }
  }
}

TEST(DropBlockLayer, Frequencies) {
  ExpectFrequencies("drop_prob: 0.2 block_size: 3", 0.2, 3, 7, 6);
  ExpectFrequencies("drop_prob: 0.1 block_size: 2", 0.1, 2, 4, 5);
  ExpectFrequencies("drop_prob: 0.25 block_size: 1", 0.25, 1, 3, 3);
  ExpectFrequencies("drop_prob: 0.2", 0.2, 3, 3, 5);  // 7, cut to the smaller side
}

TEST(DropBlockLayer, ChannelsAndImagesDiffer) {
  Blob<float> x(2, 2, 16, 16);
  FillConstant(&x, 1.f);
  const std::vector<float> y = ThirdPass<float>(Text("drop_prob: 0.5 block_size: 2"), x)[0];
  const auto map = [&y](int i) {
    return std::vector<float>(y.begin() + i * 256, y.begin() + (i + 1) * 256);
  };
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < i; ++j) EXPECT_NE(map(i), map(j));
  }
}

TEST(DropBlockLayer, DropProbabilityRises) {
  Caffe::set_random_seed(43);
  Blob<float> x(10, 20, 8, 8);
  FillConstant(&x, 1.f);
  LayerRun<float> run(LayerFromText(Text("drop_prob: 0.4 block_size: 1 anneal_iter: 4")), {&x});
  const auto dropped = [&] {
    run.Forward();
    const std::vector<float> y = DataOf(*run.top[0]);
    return std::count(y.begin(), y.end(), 0.f) / double(x.count());
  };
  for (const double expected : {0.0, 0.1, 0.2, 0.3, 0.4, 0.4}) {
    EXPECT_NEAR(expected, dropped(), expected == 0 ? 0 : 0.025);
  }
  EXPECT_EQ(6, run.layer->blobs()[0]->cpu_data()[0]);
  // A layer that gets the stored count goes on from there.
  LayerParameter stored;
  run.layer->ToProto(&stored);
  stored.mutable_blobs(0)->set_data(0, 2);
  LayerRun<float> resumed(stored, {&x});
  resumed.Forward();
  const std::vector<float> y = DataOf(*resumed.top[0]);
  EXPECT_NEAR(0.2, std::count(y.begin(), y.end(), 0.f) / double(x.count()), 0.025);
  EXPECT_EQ(3, resumed.layer->blobs()[0]->cpu_data()[0]);
}

TEST(DropBlockLayer, TheCountIsNotLearned) {
  Blob<float> x(2, 3, 8, 8);
  LayerRun<float> run(LayerFromText(Text("") + "param { lr_mult: 2 }"), {&x});
  ASSERT_EQ(1, run.layer->layer_param().param_size());
  EXPECT_EQ(0, run.layer->layer_param().param(0).lr_mult());
  EXPECT_EQ(0, run.layer->layer_param().param(0).decay_mult());
}

TEST(DropBlockLayer, IdentityInTestAndAtZero) {
  Blob<float> x(2, 3, 8, 8);
  FillGaussian(&x, 1);
  for (const std::string& text :
       {Text("drop_prob: 0"), Text("drop_prob: 0.9 block_size: 2", "phase: TEST")}) {
    const auto result = ThirdPass<float>(text, x);
    EXPECT_EQ(DataOf(x), result[0]);
    EXPECT_EQ(DataOf(x), result[1]);
  }
  LayerRun<float> test(LayerFromText(Text("", "phase: TEST")), {&x});
  test.Forward();
  EXPECT_EQ(0, test.layer->blobs()[0]->cpu_data()[0]);
}

TEST(DropBlockLayer, AllDroppedIsZero) {
  Blob<float> x(1, 1, 2, 2);
  FillConstant(&x, 1.f);
  // gamma is 0.99: one of a hundred passes keeps the only square.
  Caffe::set_random_seed(44);
  LayerRun<float> run(LayerFromText(Text("drop_prob: 0.99")), {&x});
  int zeros = 0;
  for (int pass = 0; pass < 50; ++pass) {
    run.Forward();
    const float value = run.top[0]->cpu_data()[0];
    ASSERT_TRUE(value == 0 || value == 1) << value;
    zeros += value == 0;
  }
  EXPECT_GT(zeros, 40);
}

TEST(DropBlockLayer, Gradient) {
  Blob<double> x(2, 3, 6, 5), y;
  FillGaussian(&x, 1);
  for (const char* more : {"", "phase: TEST"}) {
    const auto layer = LayerRegistry<double>::CreateLayer(
        LayerFromText(Text("drop_prob: 0.4 block_size: 2", more)));
    GradientChecker<double>(1e-4, 1e-8).CheckGradientEltwise(layer.get(), {&x}, {&y});
  }
}

TEST(DropBlockLayer, SameForAnyThreadsAndLayout) {
  Blob<float> x(5, 21, 6, 7);
  FillGaussian(&x, 2);
  ExpectSameEverywhere(Text("drop_prob: 0.3 block_size: 3"), x, {}, true, true);
}

TEST(DropBlockLayer, NewChoicesPerPass) {
  Blob<float> x(2, 3, 16, 16);
  FillGaussian(&x, 3);
  ExpectNewChoicesPerPass<float>(Text("drop_prob: 0.3"), {&x});
}

TEST(DropBlockLayer, Mistakes) {
  Blob<float> x(2, 3, 4, 4), flat(std::vector<int>{2, 3});
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Text("drop_prob: 1")), {&x}),
               "drop_prob is 1; it must lie in [0, 1)");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Text("block_size: 0")), {&x}), "block_size is 0");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Text("")), {&flat}), "2 3 (6)");
  LayerParameter stored = LayerFromText(Text(""));
  for (int i = 0; i < 2; ++i) {
    stored.add_blobs()->mutable_shape()->add_dim(1);
    stored.mutable_blobs(i)->add_data(0);
  }
  EXPECT_ERROR(LayerRun<float>(stored, {&x}), "not the one count of passes");
}

}  // namespace
}  // namespace testing
}  // namespace caffe

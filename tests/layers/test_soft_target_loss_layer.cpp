#include "layers/soft_target_loss_layer.hpp"

#include "testing/gradient_checker.hpp"
#include "testing/noise_util.hpp"

namespace caffe {
namespace testing {
namespace {

LayerParameter Definition(const std::string& inside, const std::string& more = "",
                          Phase phase = TRAIN) {
  LayerParameter param = LayerFromText(
      "name: 'loss' type: 'SoftTargetLoss' soft_target_loss_param { " + inside + " } " + more);
  param.set_phase(phase);
  return param;
}

// 4 images, 5 classes, 2 x 3 positions.
class SoftTargetLossTest : public ::testing::Test {
 protected:
  SoftTargetLossTest() : x(4, 5, 2, 3), labels(4, 1, 2, 3), plan(std::vector<int>{4, 4}) {
    FillGaussian(&x, 1, 0.0, 2.0);
    for (int i = 0; i < labels.count(); ++i) labels.mutable_cpu_data()[i] = i * 7 % 5;
    FillValues(&plan, {2, 0.3, 0, 1,  //
                       1, 0.9, 0, 1,  //
                       0, 1, 0, 1,    //
                       2, 0, 0, 1});
  }

  // The loss from dense targets; dx gets its gradient. lambda = 1 without a plan.
  double Expected(double e, bool mixed, int ignored, double norm, std::vector<double>* dx) const {
    double loss = 0;
    dx->assign(x.count(), 0);
    for (int n = 0; n < 4; ++n) {
      for (int i = 0; i < 6; ++i) {
        const double lambda = mixed ? plan.cpu_data()[4 * n + 1] : 1;
        const int partner = mixed ? static_cast<int>(plan.cpu_data()[4 * n]) : n;
        const int own = static_cast<int>(labels.cpu_data()[n * 6 + i]);
        const int other = static_cast<int>(labels.cpu_data()[partner * 6 + i]);
        if (own == ignored || (lambda < 1 && other == ignored)) continue;
        double sum = 0;
        for (int k = 0; k < 5; ++k) sum += std::exp(x.cpu_data()[(n * 5 + k) * 6 + i]);
        for (int k = 0; k < 5; ++k) {
          const double p = std::exp(x.cpu_data()[(n * 5 + k) * 6 + i]) / sum;
          const double t = lambda * ((1 - e) * (k == own) + e / 5) +
                           (1 - lambda) * ((1 - e) * (k == other) + e / 5);
          loss -= t * std::log(p) / norm;
          (*dx)[(n * 5 + k) * 6 + i] = (p - t) / norm;
        }
      }
    }
    return loss;
  }

  void ExpectFormula(const LayerParameter& param, double e, bool mixed, int ignored, double norm) {
    std::vector<Blob<double>*> bottom = {&x, &labels};
    if (mixed) bottom.push_back(&plan);
    LayerRun<double> run(param, bottom);
    std::vector<double> dx;
    const double loss = Expected(e, mixed, ignored, norm, &dx);
    EXPECT_NEAR(loss, run.Forward(), 1e-12);
    run.top[0]->mutable_cpu_diff()[0] = 2;
    run.Backward(mixed ? std::vector<bool>{true, false, false} : std::vector<bool>{true, false});
    for (int i = 0; i < x.count(); ++i) ASSERT_NEAR(2 * dx[i], x.cpu_diff()[i], 1e-12) << i;
  }

  Blob<double> x, labels, plan;
};

TEST_F(SoftTargetLossTest, Formula) {
  ExpectFormula(Definition(""), 0, false, -1, 24);
  ExpectFormula(Definition("label_smoothing: 0.25"), 0.25, false, -1, 24);
  ExpectFormula(Definition(""), 0, true, -1, 24);
  ExpectFormula(Definition("label_smoothing: 0.25"), 0.25, true, -1, 24);
}

TEST_F(SoftTargetLossTest, IgnoredPositionsAndNormalizations) {
  // Of 24 labels 3 appears 5 times; 6 further positions take a partner with it.
  const std::string ignore = "loss_param { ignore_label: 3 ";
  int valid = 0, valid_mixed = 0;
  for (int n = 0; n < 4; ++n) {
    for (int i = 0; i < 6; ++i) {
      const int partner = static_cast<int>(plan.cpu_data()[4 * n]);
      const bool own = labels.cpu_data()[n * 6 + i] != 3;
      const bool both = own && (n == 2 || labels.cpu_data()[partner * 6 + i] != 3);
      valid += own;
      valid_mixed += both;
    }
  }
  ASSERT_LT(valid_mixed, valid);
  ASSERT_LT(valid, 24);
  ExpectFormula(Definition("", ignore + "}"), 0, false, 3, valid);
  ExpectFormula(Definition("label_smoothing: 0.5", ignore + "}"), 0.5, true, 3, valid_mixed);
  ExpectFormula(Definition("", ignore + "normalization: FULL }"), 0, true, 3, 24);
  ExpectFormula(Definition("", ignore + "normalization: BATCH_SIZE }"), 0, true, 3, 4);
  ExpectFormula(Definition("", ignore + "normalize: false }"), 0, true, 3, 4);
  ExpectFormula(Definition("", ignore + "normalization: NONE }"), 0, true, 3, 1);
}

TEST_F(SoftTargetLossTest, TestPhaseLimitsConfidentMistakesAsSoftmaxWithLoss) {
  FillGaussian(&x, 3, 0.0, 100.0);
  LayerRun<double> reference(LayerFromText("type: 'SoftmaxWithLoss'"), {&x, &labels});
  LayerRun<double> run(Definition("", "", TEST), {&x, &labels});
  const double expected = reference.Forward();
  EXPECT_NEAR(expected, run.Forward(), 1e-9);
  // The training loss is the exact one, which is larger here.
  LayerRun<double> train(Definition(""), {&x, &labels});
  EXPECT_GT(train.Forward(), 1.5 * expected);
}

TEST_F(SoftTargetLossTest, TestPhaseIsSoftmaxWithLoss) {
  const std::string ignore = " loss_param { ignore_label: 2 } ";
  LayerRun<double> reference(LayerFromText("type: 'SoftmaxWithLoss'" + ignore), {&x, &labels});
  LayerRun<double> softmax(LayerFromText("type: 'Softmax'"), {&x});
  softmax.Forward();
  const double expected = reference.Forward();
  LayerRun<double> run(
      Definition("label_smoothing: 0.25", ignore + "loss_weight: 1 loss_weight: 0", TEST),
      {&x, &labels, &plan}, 2);
  EXPECT_NEAR(expected, run.Forward(), 1e-12);
  EXPECT_LT(RelativeError(run.top[1]->cpu_data(), softmax.top[0]->cpu_data(), x.count()), 1e-12);
  reference.top[0]->mutable_cpu_diff()[0] = run.top[0]->mutable_cpu_diff()[0] = 1;
  reference.Backward({true, false});
  const std::vector<double> dx = DiffOf(x);
  run.Backward({true, false, false});
  EXPECT_LT(RelativeError(x.cpu_diff(), dx.data(), x.count()), 1e-12);
}

TEST_F(SoftTargetLossTest, NothingButIgnoredPositions) {
  caffe_set(labels.count(), 3.0, labels.mutable_cpu_data());
  LayerRun<double> run(Definition("", "loss_param { ignore_label: 3 }"), {&x, &labels, &plan});
  EXPECT_EQ(0, run.Forward());
  run.top[0]->mutable_cpu_diff()[0] = 1;
  FillGaussian(&x, 1);
  caffe_set(x.count(), 7.0, x.mutable_cpu_diff());
  run.Backward({true, false, false});
  EXPECT_EQ(0, x.asum_diff());
}

TEST_F(SoftTargetLossTest, Gradient) {
  for (const Phase phase : {TRAIN, TEST}) {
    const auto layer = LayerRegistry<double>::CreateLayer(
        Definition("label_smoothing: 0.1", "loss_weight: 3 loss_param { ignore_label: 3 }", phase));
    Blob<double> loss;
    GradientChecker<double>(1e-5, 1e-7)
        .CheckGradientExhaustive(layer.get(), {&x, &labels, &plan}, {&loss}, 0);
  }
}

TEST_F(SoftTargetLossTest, AlongAnotherAxis) {
  Blob<double> scores(std::vector<int>{3, 2, 4}), classes(std::vector<int>{3, 2}), loss;
  FillGaussian(&scores, 5);
  FillValues(&classes, {0, 3, 1, 2, 2, 0});
  LayerRun<double> run(Definition("label_smoothing: 0.25", "softmax_param { axis: -1 }"),
                       {&scores, &classes});
  double expected = 0;
  for (int i = 0; i < 6; ++i) {
    const double* row = scores.cpu_data() + 4 * i;
    double sum = 0;
    for (int k = 0; k < 4; ++k) sum += std::exp(row[k]);
    for (int k = 0; k < 4; ++k) {
      const double t = 0.75 * (k == classes.cpu_data()[i]) + 0.0625;
      expected -= t * std::log(std::exp(row[k]) / sum) / 6;
    }
  }
  EXPECT_NEAR(expected, run.Forward(), 1e-12);
}

TEST_F(SoftTargetLossTest, LargeScoresInFloat) {
  Blob<float> scores(2, 3, 1, 1), classes(std::vector<int>{2});
  FillValues(&scores, {2000, 0, -2000, 5, 5, 5});
  FillValues(&classes, {2, 0});
  LayerRun<float> run(Definition("label_smoothing: 0.3"), {&scores, &classes});
  // 0.7 * 4000 + 0.1 * (0 + 2000 + 4000), and ln 3.
  EXPECT_NEAR((3400 + std::log(3.0)) / 2, run.Forward(), 1e-3);
}

TEST_F(SoftTargetLossTest, Mistakes) {
  Blob<double> few(std::vector<int>{3}), other(std::vector<int>{4, 2});
  EXPECT_ERROR(LayerRun<double>(Definition("label_smoothing: 1.5"), {&x, &labels}),
               "label_smoothing is 1.5; it must lie in [0, 1]");
  EXPECT_ERROR(LayerRun<double>(Definition(""), {&x, &few}),
               "3 labels for scores of shape 4 5 2 3");
  EXPECT_ERROR(LayerRun<double>(Definition(""), {&x, &labels, &other}),
               "the plan has shape 4 2 (8) where 4 4 is expected");
  EXPECT_ERROR(LayerRun<double>(Definition("", "softmax_param { axis: 2 }"), {&x, &x, &plan}),
               "120 labels for scores");
  Blob<double> sixty(std::vector<int>{60});
  EXPECT_ERROR(LayerRun<double>(Definition("", "softmax_param { axis: 2 }"), {&x, &sixty, &plan}),
               "softmax_param.axis is 2; with a plan it must be 1");
  LayerRun<double> gradient_of_plan(Definition(""), {&x, &labels, &plan});
  gradient_of_plan.Forward();
  EXPECT_ERROR(gradient_of_plan.Backward({true, false, true}),
               "the plan (bottom 2) gets no gradient");
  labels.mutable_cpu_data()[7] = 5;
  LayerRun<double> bad_label(Definition(""), {&x, &labels});
  EXPECT_ERROR(bad_label.Forward(), "label 5 of image 1 of the batch is outside of the 5 classes");
  labels.mutable_cpu_data()[7] = 0;
  plan.mutable_cpu_data()[4] = 4;
  LayerRun<double> bad_partner(Definition(""), {&x, &labels, &plan});
  EXPECT_ERROR(bad_partner.Forward(),
               "the plan names image 4 as partner of image 1 in a batch of 4");
  plan.mutable_cpu_data()[4] = 1;
  plan.mutable_cpu_data()[5] = 1.5;
  LayerRun<double> bad_share(Definition(""), {&x, &labels, &plan});
  EXPECT_ERROR(bad_share.Forward(), "the plan gives image 1 the share 1.5");
}

}  // namespace
}  // namespace testing
}  // namespace caffe

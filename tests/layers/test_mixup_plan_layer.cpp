#include "layers/mixup_plan_layer.hpp"

#include <set>

#include "layers/mixup_plan.hpp"
#include "testing/noise_util.hpp"

namespace caffe {
namespace testing {
namespace {

using metaperturb::PlanOf;

std::string Text(const std::string& inside) {
  return "name: 'plan' type: 'MixupPlan' mixup_plan_param { " + inside + " }";
}

TEST(MixupPlanLayer, PermutationAndOneShare) {
  Blob<float> labels(std::vector<int>{16});
  LayerRun<float> run(LayerFromText(Text("")), {&labels});
  ASSERT_EQ((std::vector<int>{16, 4}), run.top[0]->shape());
  for (int pass = 0; pass < 50; ++pass) {
    run.Forward();
    std::set<int> partners;
    for (int n = 0; n < 16; ++n) {
      const auto plan = PlanOf(*run.top[0], n);
      partners.insert(plan.partner);
      ASSERT_EQ(PlanOf(*run.top[0], 0).lambda, plan.lambda);
      ASSERT_EQ(0, plan.position);
      ASSERT_EQ(1, plan.positions);
    }
    ASSERT_EQ(16u, partners.size());
  }
}

// Beta(a, a) has mean 1/2 and variance 1 / (4 (2a + 1)); the tolerances are five standard errors.
TEST(MixupPlanLayer, SharesFollowTheBetaDistribution) {
  Blob<double> labels(std::vector<int>{4000});
  for (const double alpha : {0.2, 1.0, 2.0}) {
    Caffe::set_random_seed(21);
    LayerRun<double> run(LayerFromText(Text("per_image: true alpha: " + std::to_string(alpha))),
                         {&labels});
    run.Forward();
    double sum = 0, squares = 0;
    for (int n = 0; n < 4000; ++n) {
      const double lambda = PlanOf(*run.top[0], n).lambda;
      sum += lambda;
      squares += lambda * lambda;
    }
    const double mean = sum / 4000, variance = 1 / (4 * (2 * alpha + 1));
    EXPECT_NEAR(0.5, mean, 5 * std::sqrt(variance / 4000)) << alpha;
    EXPECT_NEAR(variance, squares / 4000 - mean * mean, 0.006) << alpha;
  }
}

TEST(MixupPlanLayer, PlacesPartnersAndSharesOfTheBatch) {
  Caffe::set_random_seed(22);
  Blob<float> labels(std::vector<int>{5});
  LayerRun<float> run(LayerFromText(Text("positions: 3")), {&labels});
  int places[3] = {}, partners[5] = {};
  double sum = 0, squares = 0;
  for (int pass = 0; pass < 3000; ++pass) {
    run.Forward();
    const auto plan = PlanOf(*run.top[0], 1);
    ASSERT_LT(plan.position, 3);
    ASSERT_EQ(3, plan.positions);
    ++places[plan.position];
    ++partners[plan.partner];
    sum += plan.lambda;
    squares += plan.lambda * plan.lambda;
    for (int n = 0; n < 5; ++n) ASSERT_EQ(plan.position, PlanOf(*run.top[0], n).position);
  }
  for (const int count : places) EXPECT_NEAR(1000, count, 130);
  for (const int count : partners) EXPECT_NEAR(600, count, 110);
  // The batch's share, of Beta(1, 1): five standard errors, as above.
  EXPECT_NEAR(0.5, sum / 3000, 5 * std::sqrt(1 / 12.0 / 3000));
  EXPECT_NEAR(1 / 12.0, squares / 3000 - sum * sum / 9e6, 0.007);
}

TEST(MixupPlanLayer, EachImageItselfInTest) {
  Blob<float> labels(std::vector<int>{7});
  LayerRun<float> run(LayerFromText(Text("positions: 4 per_image: true") + " phase: TEST"),
                      {&labels});
  run.Forward();
  for (int n = 0; n < 7; ++n) {
    EXPECT_EQ(n, PlanOf(*run.top[0], n).partner);
    EXPECT_EQ(1, PlanOf(*run.top[0], n).lambda);
    EXPECT_EQ(0, PlanOf(*run.top[0], n).position);
  }
}

TEST(MixupPlanLayer, NewChoicesPerPass) {
  Blob<float> labels(std::vector<int>{8});
  ExpectNewChoicesPerPass<float>(Text(""), {&labels});
}

TEST(MixupPlanLayer, Mistakes) {
  Blob<float> labels(std::vector<int>{8}), scalar((std::vector<int>()));
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Text("alpha: 0")), {&labels}), "alpha is 0");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Text("alpha: inf")), {&labels}),
               "alpha is inf; it must be positive and finite");
  LayerRun<float> run(LayerFromText(Text("")), {&labels});
  run.Forward();
  EXPECT_ERROR(run.Backward({true}), "its bottom gets no gradient");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Text("positions: 0")), {&labels}), "positions is 0");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Text("")), {&scalar}), "no axis of images");
}

}  // namespace
}  // namespace testing
}  // namespace caffe

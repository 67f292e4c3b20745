#include "solvers/meta_solver_fixture.hpp"

namespace caffe {
namespace meta_testing {
namespace {

const double kRate = 0.375;  // of the virtual step

class LookaheadTest : public MetaSolverTest {
 protected:
  // Task 1 is the one that is looked at: a network without batch normalisation, whose running
  // statistics would depend on theta.
  MetaSolverParameter Run(const string& theta = "base_lr: 0.125 lr_policy: 'fixed'") {
    MetaSolverParameter param = Definition(theta);
    param.set_bilevel(MetaSolverParameter::LOOKAHEAD);
    param.set_lookahead_rate(kRate);
    return param;
  }

  // Large enough for theta's gradient to depend on phi visibly.
  static void SetPhi(MetaSolver<double>* solver) {
    std::mt19937 random(3);
    std::normal_distribution<double> normal(0, 0.3);
    double* phi = const_cast<Blob<double>&>(solver->phi()).mutable_cpu_data();
    for (int i = 0; i < 82; ++i) phi[i] = normal(random);
  }

  // L_val(theta - rate d L_train(theta, phi) / d theta, phi), its gradient by phi with theta
  // fixed, over the first `train` and `val` batches; theta is that of `start`.
  double Objective(const MetaSolverParameter& run, const NetParameter& start,
                   const vector<double>& phi, int train, int val, vector<double>* partial) {
    std::unique_ptr<Net<double>> nets[2];
    for (const bool validation : {false, true}) {
      auto& net = nets[validation] = Reference(run, 1, validation);
      net->CopyTrainedLayersFrom(start);
      Blob<double>& owner = *net->params()[net->param_names_index().at("phi")];
      std::copy(phi.begin(), phi.end(), owner.mutable_cpu_data());
    }
    nets[0]->ClearParamDiffs();
    for (int b = 0; b < train; ++b) nets[0]->ForwardBackward();
    for (size_t i = 0; i < nets[0]->learnable_params().size(); ++i) {
      Blob<double>& from = *nets[0]->learnable_params()[i];
      Blob<double>& to = *nets[1]->learnable_params()[i];
      if (from.count() == 82 || nets[0]->params_lr()[i] == 0) continue;
      const double step = kRate * nets[0]->params_lr()[i] / train;
      for (int k = 0; k < from.count(); ++k) {
        to.mutable_cpu_data()[k] = from.cpu_data()[k] - step * from.cpu_diff()[k];
      }
    }
    nets[1]->ClearParamDiffs();
    double loss = 0;
    for (int b = 0; b < val; ++b) loss += nets[1]->ForwardBackward();
    if (partial) {
      const Blob<double>& owner = *nets[1]->params()[nets[1]->param_names_index().at("phi")];
      partial->assign(owner.cpu_diff(), owner.cpu_diff() + 82);
    }
    return loss;
  }

  // Those of batch normalisation, as weights that a task starts from have them.
  static void SetStatistics(Net<double>* net) {
    for (const auto& layer : net->layers()) {
      if (string(layer->type()) != "BatchNorm") continue;
      for (int i = 0; i < 3; ++i) {
        Blob<double>& blob = *layer->blobs()[i];
        for (int c = 0; c < blob.count(); ++c) blob.mutable_cpu_data()[c] = i < 2 ? 0.3 + i + c : 1;
      }
    }
  }

  static double Distance(const vector<double>& a, const vector<double>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return std::sqrt(sum);
  }

  void ExpectNumericGradient(const MetaSolverParameter& run, int train, int val) {
    MetaSolver<double> solver(run);
    SetPhi(&solver);
    MetaTask<double>& task = *solver.tasks()[1];
    SetStatistics(&task.theta_net());
    NetParameter start;
    task.theta_net().ToProto(&start);
    const vector<double> phi = Values(solver.phi());
    double train_loss, val_loss;
    task.Step(val, &train_loss, &val_loss);

    vector<double> partial, numeric(82);
    EXPECT_NEAR(Objective(run, start, phi, train, val, &partial) / val, val_loss, 1e-12);
    for (int i = 0; i < 82; ++i) {
      vector<double> moved = phi;
      moved[i] = phi[i] + 1e-5;
      numeric[i] = Objective(run, start, moved, train, val, nullptr);
      moved[i] = phi[i] - 1e-5;
      numeric[i] = (numeric[i] - Objective(run, start, moved, train, val, nullptr)) / 2e-5;
    }
    const double implicit = Distance(numeric, partial);
    EXPECT_GT(implicit, 0.02 * Distance(partial, vector<double>(82)));
    EXPECT_LT(Distance(task.phi_gradient(), numeric), 0.01 * implicit) << "of " << implicit;
  }
};

TEST_F(LookaheadTest, IsTheGradientOfTheTwoLevelObjective) {
  ExpectNumericGradient(Run(), 1, 1);
}

TEST_F(LookaheadTest, WithGivenStatistics) {
  const string norm =
      "layer { name: 'bn' type: 'BatchNorm' bottom: 'conv' top: 'bn' "
      "batch_norm_param { use_global_stats: true } }";
  string body = kOtherBody;
  const size_t at = body.find("layer { name: \"mp\"");
  body = body.substr(0, at) + norm + Replaced(body.substr(at), "bottom: \"conv\"", "bottom: 'bn'");
  WriteNet("other.prototxt", string(kData) + body + kHead, "noise: MEAN", "");
  ExpectNumericGradient(Run(), 1, 1);
}

TEST_F(LookaheadTest, WithSeveralBatchesPerStep) {
  ExpectNumericGradient(Run("base_lr: 0.125 lr_policy: 'fixed' iter_size: 2"), 2, 2);
}

TEST_F(LookaheadTest, LearningRateMultipliersCount) {
  string body = kOtherBody, head = kHead;
  body.insert(body.find("type: \"Convolution\""), "param { lr_mult: 3 } ");
  head.insert(head.find("type: \"InnerProduct\""), "param { lr_mult: 0 } param { lr_mult: 2 } ");
  WriteNet("other.prototxt", kData + body + head, "noise: MEAN", "");
  ExpectNumericGradient(Run(), 1, 1);
}

TEST_F(LookaheadTest, TheImplicitTermVanishesWithTheRate) {
  MetaSolverParameter run = Run();
  run.set_lookahead_rate(1e-12f);
  MetaSolver<double> solver(run);
  SetPhi(&solver);
  double train_loss, val_loss;
  solver.tasks()[1]->Step(1, &train_loss, &val_loss);
  const vector<double> gradient = solver.tasks()[1]->phi_gradient();
  const Net<double>& val = solver.tasks()[1]->val_net();
  const Blob<double>& owner = *val.params()[val.param_names_index().at("phi")];
  EXPECT_LT(Distance(gradient, vector<double>(owner.cpu_diff(), owner.cpu_diff() + 82)), 1e-9);
  EXPECT_GT(Distance(gradient, vector<double>(82)), 1e-3);
}

TEST_F(LookaheadTest, ThetaTakesTheSameStepAsInJoint) {
  WriteNet("net.prototxt", string(kData) + kBody + kHead, "anneal_iter: 4",
           "mirror: true crop_size: 5");
  // With plain gradient descent the virtual step is the real one, and nothing but phi's gradient
  // differs: the passes that only try leave no trace in theta, statistics or counters.
  MetaSolverParameter run = Run();
  run.clear_lookahead_rate();
  MetaSolverParameter joint = run;
  joint.set_bilevel(MetaSolverParameter::JOINT);
  MetaSolver<double> solver(run), other(joint);
  for (int step = 0; step < 3; ++step) {
    for (size_t t = 0; t < 2; ++t) {
      double train_loss, val_loss, train_expected, val_expected;
      solver.tasks()[t]->Step(1, &train_loss, &val_loss);
      other.tasks()[t]->Step(1, &train_expected, &val_expected);
      EXPECT_NEAR(train_loss, train_expected, 1e-12);
      EXPECT_NEAR(val_loss, val_expected, 1e-12);
      const auto& layers = solver.tasks()[t]->theta_net().layers();
      for (size_t l = 0; l < layers.size(); ++l) {
        const auto& expected = other.tasks()[t]->theta_net().layers()[l]->blobs();
        for (size_t j = 0; j < expected.size(); ++j) {
          EXPECT_LT(Distance(Values(*layers[l]->blobs()[j]), Values(*expected[j])), 1e-12);
        }
        // In the first pass a is 0, and phi has no effect.
        if (step == 0) continue;
        EXPECT_GT(Distance(solver.tasks()[t]->phi_gradient(), other.tasks()[t]->phi_gradient()),
                  1e-9);
      }
    }
  }
}

// Strengths that rise over the TRAIN passes rise at the same rate in every net of a task.
TEST_F(LookaheadTest, EveryNetCountsItsOwnPasses) {
  const string body =
      Replaced(kBody, "layer { name: \"mp2\" type: \"MetaPerturb\" bottom: \"conv2\"",
               "layer { name: \"drop\" type: \"DropBlock\" bottom: \"conv2\" top: \"drop\" } "
               "layer { name: \"mp2\" type: \"MetaPerturb\" bottom: \"drop\"");
  WriteNet("net.prototxt", kData + body + kHead, "noise: MEAN", "");
  for (const auto scheme : {MetaSolverParameter::JOINT, MetaSolverParameter::LOOKAHEAD}) {
    MetaSolverParameter run = Run();
    run.set_bilevel(scheme);
    if (scheme == MetaSolverParameter::JOINT) run.clear_lookahead_rate();
    MetaSolver<float> solver(run);
    solver.Step(3);
    MetaTask<float>& task = *solver.tasks()[0];
    for (const Net<float>* net : {&task.theta_net(), &task.val_net()}) {
      EXPECT_EQ(net->layer_by_name("drop")->blobs()[0]->cpu_data()[0], 3);
      EXPECT_EQ(net->layer_by_name("mp2")->blobs()[3]->cpu_data()[0], 3);
    }
  }
}

TEST_F(LookaheadTest, RestoredRunIsBitwiseTheSame) {
  WriteNet("net.prototxt", string(kData) + kBody + kHead, "anneal_iter: 4",
           "mirror: true crop_size: 5");
  const MetaSolverParameter run =
      Run("base_lr: 0.01 lr_policy: 'fixed' type: 'Adam' momentum: 0.9 iter_size: 2");
  const auto state = [this] {
    std::ifstream file(Path("run_iter_6.metastate"), std::ios::binary);
    return string(std::istreambuf_iterator<char>(file), {});
  };
  MetaSolver<float> straight(run);
  straight.Step(3);
  straight.Snapshot();
  straight.Step(3);
  straight.Snapshot();
  const string expected = state();
  MetaSolver<float> resumed(run);
  resumed.Restore(Path("run_iter_3.metastate"));
  resumed.Step(3);
  resumed.Snapshot();
  EXPECT_TRUE(state() == expected);
}

TEST_F(LookaheadTest, ARateThatNothingReadsIsWarnedOf) {
  MetaSolverParameter run = Run();
  run.set_bilevel(MetaSolverParameter::JOINT);
  run.set_lookahead_rate(0.1f);
  ::testing::internal::CaptureStderr();
  MetaSolver<float> solver(run);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("lookahead_rate has no effect"),
            string::npos);
}

TEST_F(LookaheadTest, DataAfterOtherLayersIsRefused) {
  WriteNet("net.prototxt",
           string(kData) + kBody + kHead +
               "layer { name: 'late' type: 'DummyData' top: 'late' dummy_data_param { shape { dim: "
               "4 } } } layer { name: 'silence' type: 'Silence' bottom: 'late' }",
           "noise: MEAN", "");
  ExpectRefused(Run(), {"task 'a'", Path("net.prototxt"), "layer 'late' (DummyData)", "LOOKAHEAD"});
}

}  // namespace
}  // namespace meta_testing
}  // namespace caffe

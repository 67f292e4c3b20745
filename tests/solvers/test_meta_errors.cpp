#include "solvers/meta_solver_fixture.hpp"

namespace caffe {
namespace meta_testing {
namespace {

TEST_F(MetaSolverTest, MistakesInTheRun) {
  MetaSolverParameter param = Definition();
  param.clear_task();
  ExpectRefused(param, {"no task is given"});

  param = Definition();
  param.mutable_task(1)->set_name("a");
  ExpectRefused(param, {"two tasks have the name 'a'"});
  param.mutable_task(1)->clear_name();
  param.mutable_task(0)->set_name("task1");
  ExpectRefused(param, {"two tasks have the name 'task1'"});

  param = Definition();
  param.mutable_theta()->set_type("Adm");
  ExpectRefused(param, {"theta: ", "'Adm'", "Adam"});
  param = Definition();
  param.mutable_phi()->set_type("Adm");
  ExpectRefused(param, {"phi: ", "'Adm'", "Adam"});
  param = Definition();
  param.mutable_phi()->clear_base_lr();
  ExpectRefused(param, {"phi: base_lr is not given"});
  param = Definition();
  param.mutable_phi()->set_lr_policy("stairs");
  ExpectRefused(param, {"phi: ", "stairs"});

  param = Definition();
  param.clear_max_iter();
  ExpectRefused(param, {"max_iter"});
  param = Definition();
  param.mutable_task(0)->set_weight(-1);
  ExpectRefused(param, {"task 'a'", "weight is -1"});
  param.mutable_task(0)->set_weight(0);
  param.mutable_task(1)->set_weight(0);
  ExpectRefused(param, {"every task has weight 0"});
  param = Definition();
  param.mutable_task(0)->clear_name();
  param.mutable_task(0)->set_weight(-1);
  ExpectRefused(param, {"task 'task0': weight is -1"});
  // The common optimiser is checked where any task has it, not only the first.
  param = Definition("lr_policy: 'fixed'");
  param.mutable_task(0)->mutable_theta()->set_base_lr(0.1f);
  ExpectRefused(param, {"theta: base_lr is not given"});
  param = Definition();
  param.set_snapshot_prefix(Path("nowhere/run"));
  ExpectRefused(param, {Path("nowhere/run"), "cannot be written"});
}

TEST_F(MetaSolverTest, MistakesInATask) {
  MetaSolverParameter param = Definition();
  param.mutable_task(1)->set_train_source(Path("missing"));
  ExpectRefused(param, {"task 'b'", Path("missing")});
  param = Definition();
  param.mutable_task(1)->set_val_source(Path("missing"));
  ExpectRefused(param, {"task 'b'", Path("missing")});
  param.mutable_task(1)->clear_val_source();
  ExpectRefused(param, {"task 'b'", "val_source is not given", "layer 'data'"});

  WriteDatabase("grey", 2, 0, 1);
  param = Definition();
  param.mutable_task(1)->set_val_source(Path("grey"));
  ExpectRefused(param, {"task 'b'", "val_source has images of 1x7x6, train_source of 2x7x6"});

  ExpectRefused(Definition("base_lr: 0.1 lr_policy: 'fixd'"), {"theta: unknown lr_policy 'fixd'"});

  param = Definition();
  param.mutable_task(0)->set_net(Path("missing.prototxt"));
  ExpectRefused(param, {"task 'a'", Path("missing.prototxt")});
  param = Definition();
  param.clear_net();
  ExpectRefused(param, {"task 'a'", "no net is given"});

  param = Definition();
  param.set_phi_param("psi");
  ExpectRefused(param, {"task 'a'", Path("net.prototxt"), "no parameter named 'psi'"});
  WriteNet("net.prototxt",
           Replaced(string(kData) + kBody + kHead, "name: \"fc\" type",
                    "name: \"fc\" param { name: \"psi\" } type"),
           "noise: MEAN", "");
  ExpectRefused(param, {"task 'a'", "'psi'", "layer 'fc' (InnerProduct)", "no MetaPerturb layer"});

  WriteNet("net.prototxt",
           string(kData) + kBody + "layer { name: 'silence' type: 'Silence' bottom: 'label' }", "",
           "");
  param = Definition();
  param.mutable_task(0)->set_num_output(2);
  ExpectRefused(param, {"task 'a'", Path("net.prototxt"), "num_output 2", "feeds a loss"});

  WriteNet("net.prototxt",
           string("layer { name: 'data' type: 'DummyData' top: 'data' top: 'label' "
                  "dummy_data_param { shape { dim: 4 dim: 2 dim: 7 dim: 6 } shape { dim: 4 } } }") +
               kBody + kHead,
           "", "");
  ExpectRefused(Definition(), {"task 'a'", "train_source", Path("db0"), "no Data or ImageData"});
  param = Definition();
  param.mutable_task(0)->clear_train_source();
  param.mutable_task(0)->set_batch_size(9);
  ExpectRefused(param, {"task 'a'", "batch_size 9", "no Data, ImageData or MemoryData"});
}

TEST_F(MetaSolverTest, LossThatIsNotFinite) {
  MetaSolver<float> solver(Definition("base_lr: 1e30 lr_policy: 'fixed'"));
  ExpectError([&] { solver.Step(10); }, {"task 'a'", "loss is ", "meta-iteration "});
}

TEST_F(MetaSolverTest, MistakesInASnapshot) {
  MetaSolver<float> solver(Definition());
  solver.Step(1);
  solver.Snapshot();
  const string file = Path("run_iter_1.metastate");
  ExpectError([&] { solver.Restore(Path("missing")); }, {Path("missing")});
  ExpectError([&] { solver.Restore(Path("net.prototxt")); }, {Path("net.prototxt")});

  MetaSolverParameter param = Definition();
  param.mutable_task()->RemoveLast();
  MetaSolver<float> one_task(param);
  ExpectError([&] { one_task.Restore(file); }, {file, "2 task(s)", "has 1"});
  param = Definition();
  param.mutable_task(1)->set_name("c");
  MetaSolver<float> renamed(param);
  ExpectError([&] { renamed.Restore(file); }, {file, "'b'", "'c'"});
  param = Definition("base_lr: 0.1 lr_policy: 'fixed' type: 'Adam'");
  MetaSolver<float> adam(param);
  ExpectError([&] { adam.Restore(file); }, {file, "task 'a'", "moments", "Adam"});

  WriteNet("other.prototxt",
           Replaced(string(kData) + kOtherBody + kHead, "name: \"conv\"", "name: \"conv9\""),
           "noise: MEAN", "");
  MetaSolver<float> other_layer(Definition());
  ExpectError([&] { other_layer.Restore(file); },
              {file, "task 'b'", "layer 'conv9' has parameters, but is not in the snapshot"});

  std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  ExpectError([&] { solver.Restore(file); }, {file});
}

TEST_F(MetaSolverTest, ReadsItsDefinition) {
  WriteText("old.prototxt", "theta { solver_type: ADAM } task { theta { solver_type: NESTEROV } }");
  const MetaSolverParameter old = ReadMetaSolverParameter(Path("old.prototxt"));
  EXPECT_EQ(old.theta().type(), "Adam");
  EXPECT_EQ(old.task(0).theta().type(), "Nesterov");
  WriteText("meta.prototxt", "max_iter: 3\ntask {}\n");
  const MetaSolverParameter param = ReadMetaSolverParameter(Path("meta.prototxt"));
  EXPECT_EQ(param.max_iter(), 3u);
  EXPECT_EQ(param.snapshot_prefix(), Path("meta"));
  WriteText("meta.prototxt", "max_iter: 3\ntasks {}\n");
  ExpectError([&] { ReadMetaSolverParameter(Path("meta.prototxt")); },
              {Path("meta.prototxt") + ":2:"});
}

}  // namespace
}  // namespace meta_testing
}  // namespace caffe

// Several tasks at a time, in workers and in processes (threads in their place here;
// tests/tools/test_metaperturb_mpi.cpp has real ones).
#include <set>

#include "solvers/meta_solver_fixture.hpp"
#include "solvers/thread_group.hpp"

namespace caffe {
namespace meta_testing {
namespace {

class TaskSetTest : public MetaSolverTest {
 protected:
  // Five tasks: two networks, batch sizes, numbers of classes, and an optimiser of its own.
  MetaSolverParameter FiveTasks() {
    WriteNet("net.prototxt", string(kData) + kBody + kHead, "anneal_iter: 4",
             "mirror: true crop_size: 5");
    MetaSolverParameter param =
        Definition("base_lr: 0.01 lr_policy: 'fixed' type: 'Adam' momentum: 0.9",
                   "base_lr: 0.01 lr_policy: 'fixed' type: 'Adam' momentum: 0.9 iter_size: 2");
    for (const char* name : {"c", "d", "e"}) {
      MetaTaskParameter* task = param.add_task();
      *task = param.task(*name == 'd' ? 1 : 0);
      task->set_name(name);
    }
    param.mutable_task(4)->mutable_theta()->set_type("SGD");
    param.mutable_task(4)->set_batch_size(3);
    return param;
  }

  static MetaParallelism How(int tasks_at_once, ProcessGroup* group = nullptr) {
    MetaParallelism how;
    how.tasks_at_once = tasks_at_once;
    how.task_threads = 1;
    how.group = group;
    return how;
  }

  string Bytes(const string& name) const {
    std::ifstream file(Path(name), std::ios::binary);
    return string(std::istreambuf_iterator<char>(file), {});
  }

  // The files of a run, with everything in them, after six steps.
  string Result(const MetaSolverParameter& param, const MetaParallelism& how) {
    MetaSolver<float> solver(param, how);
    solver.Step(6);
    solver.Snapshot();
    return Bytes("run_iter_6.metastate") + Bytes("run_phi_iter_6.caffemodel");
  }
};

TEST_F(TaskSetTest, AnyNumberAtOnceIsBitwiseTheSame) {
  const MetaSolverParameter param = FiveTasks();
  const string one = Result(param, How(1));
  ASSERT_GT(one.size(), 5000u);
  for (const int at_once : {2, 3, 5, 7}) EXPECT_TRUE(Result(param, How(at_once)) == one) << at_once;
  MetaSolverParameter other = param;
  other.set_random_seed(6);
  EXPECT_FALSE(Result(other, How(1)) == one);
}

TEST_F(TaskSetTest, AnyNumberOfProcessesIsBitwiseTheSame) {
  const MetaSolverParameter param = FiveTasks();
  const string one = Result(param, How(1));
  for (const int size : {2, 4, 6}) {
    ThreadGroup::Run(size, [&](ProcessGroup* group) {
      const string result = Result(param, How(1 + group->rank() % 2, group));
      if (group->rank() == 0) {
        EXPECT_TRUE(result == one) << size << " processes";
      }
    });
  }
}

TEST_F(TaskSetTest, MovingTasksChangesNothing) {
  const MetaSolverParameter param = FiveTasks();
  const string one = Result(param, How(1));
  for (const int size : {1, 2, 3}) {
    ThreadGroup::Run(size, [&](ProcessGroup* group) {
      MetaSolver<float> solver(param, How(size == 1 ? 2 : 1, group));
      const auto expect_moves = [&](const vector<double>& costs) {
        const auto memory = [&] {
          string pointers;
          for (const auto& task : solver.tasks()) {
            pointers += " " + std::to_string(reinterpret_cast<uintptr_t>(task.get()));
          }
          return pointers;
        };
        const string before = memory();
        solver.task_set().Place(costs);
        int changed = 0;
        for (const string& text : group->AllGather(memory() != before ? "1" : "0")) {
          changed += text == "1";
        }
        EXPECT_GT(changed, 0);
      };
      solver.Step(2);
      expect_moves(size == 3 ? vector<double>{9, 1, 1, 9, 1} : vector<double>{5, 1, 5, 1, 5});
      solver.Step(2);
      expect_moves(vector<double>{1, 1, 1, 1, 9});
      solver.Step(2);
      solver.Snapshot();
      if (group->rank() == 0) {
        EXPECT_TRUE(Bytes("run_iter_6.metastate") + Bytes("run_phi_iter_6.caffemodel") == one);
      }
    });
  }
}

// A user may edit a network while a run is on.
TEST_F(TaskSetTest, MovingTasksReadsNoFileAgain) {
  const MetaSolverParameter param = FiveTasks();
  ThreadGroup::Run(2, [&](ProcessGroup* group) {
    MetaSolver<float> solver(param, How(1, group));
    solver.Step(1);
    if (group->rank() == 0) {
      for (const char* name : {"net.prototxt", "other.prototxt"}) {
        std::filesystem::remove(Path(name));
      }
    }
    group->Together([] {});
    solver.task_set().Place(vector<double>{1, 9, 1, 1, 9});
    solver.task_set().Place(vector<double>{9, 1, 9, 1, 1});
    solver.Step(1);
  });
}

// Runs are repeated with other seeds to see how much depends on them.
TEST_F(TaskSetTest, TasksOfRunsWithOtherSeedsShareNoNumbers) {
  std::set<string> weights;
  int tasks = 0;
  for (const int seed : {1, 2, 3, 4}) {
    MetaSolverParameter param = FiveTasks();
    param.set_random_seed(seed);
    MetaSolver<float> solver(param, How(1));
    for (const auto& task : solver.tasks()) {
      const Blob<float>& conv = *task->theta_net().learnable_params()[0];
      weights.insert(string(reinterpret_cast<const char*>(conv.cpu_data()), 4 * conv.count()));
      ++tasks;
    }
  }
  EXPECT_EQ(tasks, static_cast<int>(weights.size()));
}

TEST_F(TaskSetTest, SnapshotsGoOnWithAnyNumberOfProcesses) {
  const MetaSolverParameter param = FiveTasks();
  const string one = Result(param, How(1));
  for (const int before : {1, 3}) {
    ThreadGroup::Run(before, [&](ProcessGroup* group) {
      MetaSolver<float> solver(param, How(1, group));
      solver.Step(3);
      solver.Snapshot();
    });
    for (const int after : {1, 2}) {
      ThreadGroup::Run(after, [&](ProcessGroup* group) {
        MetaSolver<float> solver(param, How(2, group));
        solver.Restore(Path("run_iter_3.metastate"));
        solver.Step(3);
        solver.Snapshot();
        if (group->rank() == 0) {
          EXPECT_TRUE(Bytes("run_iter_6.metastate") + Bytes("run_phi_iter_6.caffemodel") == one)
              << before << " processes, then " << after;
        }
      });
    }
  }
}

TEST_F(TaskSetTest, NumbersOfAllTasksReachTheFirstProcess) {
  MetaSolverParameter param = FiveTasks();
  param.set_display(1);
  param.set_csv(Path("one.csv"));
  MetaSolver<float>(param, How(1)).Solve();
  ThreadGroup::Run(3, [&](ProcessGroup* group) {
    MetaSolverParameter mine = param;
    mine.set_csv(Path("three.csv"));
    MetaSolver<float>(mine, How(1, group)).Solve();
  });
  EXPECT_GT(Bytes("one.csv").size(), 1000u);
  EXPECT_EQ(Bytes("three.csv"), Bytes("one.csv"));
}

#ifndef METAPERTURB_FOREIGN_HOST  // whose own checks end the process
TEST_F(TaskSetTest, AnErrorInOneProcessEndsAll) {
  MetaSolverParameter missing = FiveTasks();
  missing.mutable_task(3)->set_val_source(Path("missing"));
  MetaSolverParameter diverges = FiveTasks();
  diverges.mutable_task(1)->mutable_theta()->set_type("SGD");
  diverges.mutable_task(1)->mutable_theta()->set_base_lr(1e30f);
  ThreadGroup::Run(3, [&](ProcessGroup* group) {
    ExpectError([&] { MetaSolver<float>(missing, How(1, group)); }, {"task 'd'", Path("missing")});
    ExpectError([&] { MetaSolver<float>(diverges, How(1, group)).Step(5); },
                {"task 'b'", "loss is"});
    EXPECT_TRUE(group->failed_together());
  });
  ExpectError([&] { MetaSolver<float>(missing, How(3)); }, {"task 'd'", Path("missing")});
}
#endif

TEST_F(TaskSetTest, AProcessCanStopAll) {
  ThreadGroup::Run(3, [&](ProcessGroup* group) {
    MetaSolver<float> solver(FiveTasks(), How(1, group));
    solver.SetActionFunction([&] {
      return group->rank() == 2 && solver.iter() == 2 ? SolverAction::STOP : SolverAction::NONE;
    });
    solver.Solve();
    EXPECT_EQ(solver.iter(), 3);
  });
  EXPECT_TRUE(std::filesystem::exists(Path("run_iter_3.metastate")));
}

TEST_F(TaskSetTest, DifferingPhiIsNoticed) {
  ThreadGroup::Run(2, [&](ProcessGroup* group) {
    MetaSolver<float> solver(FiveTasks(), How(1, group));
    solver.Step(1);
    if (group->rank() == 1) const_cast<Blob<float>&>(solver.phi()).mutable_cpu_data()[3] += 1e-6f;
    ExpectError([&] { solver.Step(1); }, {"phi differs between the processes"});
  });
}

TEST_F(TaskSetTest, ATasksOwnOptimiser) {
  MetaSolver<float> solver(FiveTasks());
  EXPECT_STREQ(solver.tasks()[0]->solver().type(), "Adam");
  EXPECT_STREQ(solver.tasks()[4]->solver().type(), "SGD");
  EXPECT_FLOAT_EQ(solver.tasks()[4]->solver().param().base_lr(), 0.01f);
#ifndef METAPERTURB_FOREIGN_HOST
  MetaSolverParameter param = FiveTasks();
  param.mutable_task(4)->mutable_theta()->set_type("Adm");
  ExpectRefused(param, {"task 'e': theta: ", "'Adm'", "Adam"});
#endif
}

TEST_F(TaskSetTest, WorkersShareActivationsWithinThemselvesOnly) {
  MetaSolverParameter param = FiveTasks();
  const auto memory = [](const MetaTask<float>& task) {
    return task.theta_net().blob_by_name("conv2")->data().get();
  };
  MetaSolver<float> solver(param, How(2));  // the tasks a, c, e on one worker; b, d on the other
  EXPECT_EQ(memory(*solver.tasks()[0]), memory(*solver.tasks()[2]));
  MetaSolver<float> wide(param, How(5));
  EXPECT_NE(memory(*wide.tasks()[0]), memory(*wide.tasks()[2]));
}

}  // namespace
}  // namespace meta_testing
}  // namespace caffe

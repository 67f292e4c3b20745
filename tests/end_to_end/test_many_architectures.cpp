// One meta-training run over the project's three networks, in their full size, on data sets that
// differ in image size, channels and classes.
#include <gtest/gtest.h>

#include <random>

#include "testing/data_util.hpp"

namespace caffe {
namespace testing {
namespace {

class ManyArchitectures : public TempDirTest {
 protected:
  void SetUp() override {
    WriteImages("colour", 3, 36, 7);
    WriteImages("grey", 1, 28, 4);
    string tasks;
    const auto add = [&](const string& name, const string& data, int crop, int classes,
                         const string& more) {
      ASSERT_EQ(Run("metaperturb", "generate --model=" + name + " --crop=" + std::to_string(crop) +
                                       " --classes=" + std::to_string(classes) +
                                       " --batch=4 --output=" + name),
                0)
          << output_;
      tasks += "task { name: '" + name + "' net: '" + name + "/meta_train_val.prototxt' " +
               "train_source: '" + data + "_train' val_source: '" + data +
               "_val' num_output: " + std::to_string(classes) + " " + more + " }\n";
    };
    add("resnet20", "colour", 32, 7, "batch_size: 3");
    add("vgg9", "grey", 24, 4, "theta { type: 'SGD' momentum: 0.9 }");
    add("mobilenet", "colour", 32, 7, "weight: 2");
    Write("tasks", tasks);
    Write("run.prototxt",
          "task_list: 'tasks' max_iter: 3 display: 1 random_seed: 1 snapshot_prefix: 'run'\n"
          "theta { type: 'Adam' base_lr: 0.001 lr_policy: 'fixed' momentum: 0.9 }\n"
          "phi { type: 'Adam' base_lr: 0.001 lr_policy: 'fixed' momentum: 0.9 }\n");
  }

  void WriteImages(const string& name, int channels, int size, int classes) {
    std::mt19937 random(1);
    for (const char* part : {"_train", "_val"}) {
      vector<Datum> datums;
      for (int i = 0; i < 3 * classes; ++i) {
        datums.push_back(ByteDatum(channels, size, size, i % classes, static_cast<int>(random())));
      }
      WriteDatums(Path(name + part), datums);
    }
  }

  // The losses of a task as they were logged.
  vector<double> Losses(const string& task) const {
    const string start = "Task '" + task + "': train loss = ";
    vector<double> losses;
    for (size_t at = output_.find(start); at != string::npos; at = output_.find(start, at + 1)) {
      losses.push_back(std::stod(output_.substr(at + start.size())));
    }
    return losses;
  }
};

TEST_F(ManyArchitectures, LearnOnePhi) {
  ASSERT_EQ(Run("metaperturb", "train --solver=run.prototxt --task_threads=1 --tasks_at_once=1"), 0)
      << output_;
  for (const char* task : {"resnet20", "vgg9", "mobilenet"}) {
    const vector<double> losses = Losses(task);
    ASSERT_EQ(losses.size(), 3u) << output_;
    for (const double loss : losses) EXPECT_TRUE(loss > 0 && loss < 20) << task << ": " << loss;
  }
  const string state = Read("run_iter_3.metastate");
  ASSERT_FALSE(state.empty());
  for (const char* at_once : {"2", "3"}) {
    ASSERT_EQ(Run("metaperturb", string("train --solver=run.prototxt --task_threads=1 ") +
                                     "--tasks_at_once=" + at_once),
              0)
        << output_;
    EXPECT_TRUE(Read("run_iter_3.metastate") == state) << at_once;
  }
}

}  // namespace
}  // namespace testing
}  // namespace caffe

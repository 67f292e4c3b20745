// Runs `metaperturb split` as a user does.

#include <google/protobuf/text_format.h>

#include <set>

#include "caffe/proto/meta_solver.pb.h"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

class MetaPerturbSplit : public testing::TempDirTest {
 protected:
  // Seven classes (labels 3, 6, ..., 21) of five images; the first byte tells the image.
  void SetUp() override {
    vector<Datum> datums;
    for (int i = 0; i < 35; ++i) {
      datums.push_back(testing::ByteDatum(1, 2, 2, 3 * (i % 7) + 3, i));
    }
    testing::WriteDatums(Path("db"), datums);
  }
  MetaTaskList Tasks(const string& folder) const {
    MetaTaskList tasks;
    EXPECT_TRUE(
        google::protobuf::TextFormat::ParseFromString(Read(folder + "/tasks.prototxt"), &tasks));
    return tasks;
  }
};

TEST_F(MetaPerturbSplit, GroupsOfClassesWithHalvesSwapped) {
  ASSERT_EQ(0, Run("metaperturb", "split --source=db --output=out --groups=2 --seed=3")) << output_;
  EXPECT_NE(string::npos, output_.find("out/tasks.prototxt: 4 tasks of 7 classes")) << output_;
  const MetaTaskList tasks = Tasks("out");
  ASSERT_EQ(4, tasks.task_size());
  std::set<int> images, classes;
  for (int g = 0; g < 2; ++g) {
    const MetaTaskParameter &a = tasks.task(2 * g), &b = tasks.task(2 * g + 1);
    EXPECT_EQ("group" + std::to_string(g) + "_a", a.name());
    EXPECT_EQ("group" + std::to_string(g) + "_b", b.name());
    EXPECT_EQ(a.train_source(), b.val_source());
    EXPECT_EQ(b.train_source(), a.val_source());
    const int labels = g == 0 ? 4 : 3;
    EXPECT_EQ(labels, static_cast<int>(a.num_output()));
    EXPECT_EQ(labels, static_cast<int>(b.num_output()));
    std::map<int, int> class_of;  // by new label
    for (const MetaTaskParameter* task : {&a, &b}) {
      std::map<int, int> count;
      bool in_order = true;
      int last = -1;
      for (const auto& record : testing::ReadDatums(Path(task->train_source()))) {
        const int image = static_cast<unsigned char>(record.second.data()[0]);
        EXPECT_TRUE(images.insert(image).second) << "image " << image << " is there twice";
        const int label = record.second.label();
        ++count[label];
        in_order = in_order && image > last;
        last = image;
        // One class has one label, in both halves.
        EXPECT_EQ(image % 7, class_of.emplace(label, image % 7).first->second);
      }
      EXPECT_FALSE(in_order);
      EXPECT_EQ(labels, static_cast<int>(count.size()));
      for (const auto& entry : count) {
        EXPECT_LT(entry.first, labels);
        EXPECT_EQ(task == &a ? 3 : 2, entry.second);
      }
    }
    for (const auto& entry : class_of) EXPECT_TRUE(classes.insert(entry.second).second);
  }
  EXPECT_EQ(35u, images.size());
  EXPECT_EQ(7u, classes.size());
}

TEST_F(MetaPerturbSplit, TheSeedDecidesAndASecondRunDoesNothing) {
  const string flags = "split --source=db --groups=3 ";
  ASSERT_EQ(0, Run("metaperturb", flags + "--output=a --seed=1")) << output_;
  ASSERT_EQ(0, Run("metaperturb", flags + "--output=b --seed=1")) << output_;
  ASSERT_EQ(0, Run("metaperturb", flags + "--output=c --seed=2")) << output_;
  const auto keys = [this](const string& folder) {
    string all;
    for (const auto& record : testing::ReadDatums(Path(folder + "/group1_b_lmdb"))) {
      all += record.second.data()[0];
    }
    return all;
  };
  EXPECT_EQ(keys("a"), keys("b"));
  EXPECT_NE(keys("a"), keys("c"));
  ASSERT_EQ(0, Run("metaperturb", flags + "--output=a --seed=1")) << output_;
  EXPECT_NE(string::npos, output_.find("a/tasks.prototxt: is there already")) << output_;
  ExpectToolError("metaperturb", flags + "--output=a --seed=2",
                  {"a/tasks.prototxt: is there already, made by 'metaperturb split", "--seed=1'"});
}

// What a killed run leaves: whole LMDBs, part of another, and no list.
TEST_F(MetaPerturbSplit, GoesOnAfterARunThatWasStopped) {
  const string flags = "split --source=db --groups=2 --output=out ";
  ASSERT_EQ(0, Run("metaperturb", flags + "--seed=3")) << output_;
  const string list = Read("out/tasks.prototxt"), lmdb = Read("out/group1_a_lmdb/data.mdb");
  std::filesystem::remove(Path("out/tasks.prototxt"));
  std::filesystem::remove_all(Path("out/group1_b_lmdb"));
  std::filesystem::create_directory(Path("out/group1_a_lmdb.tmp"));
  std::filesystem::rename(Path("out/group1_a_lmdb"), Path("out/group1_a_lmdb.tmp/lmdb"));
  Write("out/group1_a_lmdb.tmp/lmdb/data.mdb", lmdb.substr(0, lmdb.size() / 2));
  const auto kept = std::filesystem::last_write_time(Path("out/group0_a_lmdb/data.mdb"));
  ExpectToolError("metaperturb", flags + "--seed=4",
                  {"out/settings.txt: is there already, made by 'metaperturb split", "--seed=3'"});
  ASSERT_EQ(0, Run("metaperturb", flags + "--seed=3")) << output_;
  EXPECT_EQ(list, Read("out/tasks.prototxt"));
  // Three classes of five images.
  EXPECT_EQ(9u, testing::ReadDatums(Path("out/group1_a_lmdb")).size());
  EXPECT_FALSE(Exists("out/group1_a_lmdb.tmp"));
  EXPECT_EQ(6u, testing::ReadDatums(Path("out/group1_b_lmdb")).size());
  EXPECT_EQ(kept, std::filesystem::last_write_time(Path("out/group0_a_lmdb/data.mdb")));
}

// Else an image could come into both halves.
TEST_F(MetaPerturbSplit, DoesNotGoOnWithOtherImages) {
  const string flags = "split --source=db --groups=2 --output=out --seed=3";
  ASSERT_EQ(0, Run("metaperturb", flags)) << output_;
  std::filesystem::remove(Path("out/tasks.prototxt"));
  std::filesystem::remove_all(Path("out/group1_b_lmdb"));
  auto records = testing::ReadDatums(Path("db"));
  std::filesystem::remove_all(Path("db"));
  std::vector<Datum> others;
  for (auto& record : records) others.push_back(record.second);
  std::reverse(others.begin(), others.end());
  testing::WriteDatums(Path("db"), others);
  ExpectToolError("metaperturb", flags,
                  {"out/settings.txt: was begun with other images in db; remove out"});
}

TEST_F(MetaPerturbSplit, TheMetaSolverReadsTheList) {
  ASSERT_EQ(0, Run("metaperturb", "split --source=db --output=out --groups=2")) << output_;
  Write("net.prototxt",
        "layer { name: 'data' type: 'Data' top: 'data' top: 'label'"
        "  data_param { source: 'none' batch_size: 3 backend: LMDB } }"
        "layer { name: 'mp' type: 'MetaPerturb' bottom: 'data' top: 'mp' param { name: 'phi' } }"
        "layer { name: 'fc' type: 'InnerProduct' bottom: 'mp' top: 'fc'"
        "  inner_product_param { num_output: 1 weight_filler { type: 'xavier' } } }"
        "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'fc' bottom: 'label' top: 'loss' }");
  const string run =
      "net: 'net.prototxt' max_iter: 1 theta { base_lr: 0.01 lr_policy: 'fixed' }"
      " phi { base_lr: 0.01 lr_policy: 'fixed' } display: 1 ";
  Write("run.prototxt", run + "task_list: 'o?t/*.prototxt'");
  ASSERT_EQ(0, Run("metaperturb", "train --solver=run.prototxt")) << output_;
  for (const char* task : {"group0_a", "group0_b", "group1_a", "group1_b"}) {
    EXPECT_NE(string::npos, output_.find("Task '" + string(task) + "': train loss")) << output_;
  }
  Write("run.prototxt", run + "task_list: 'none/*.prototxt'");
  ExpectToolError("metaperturb", "train --solver=run.prototxt",
                  {"run.prototxt: task_list 'none/*.prototxt': there is no such file"});
  Write("empty.prototxt", "");
  Write("run.prototxt", run + "task_list: 'empty.prototxt'");
  ExpectToolError("metaperturb", "train --solver=run.prototxt", {"empty.prototxt: has no task"});
}

TEST_F(MetaPerturbSplit, Errors) {
  ExpectToolError("metaperturb", "split --output=out", {"--source is not given"});
  ExpectToolError("metaperturb", "split --source=db", {"--output is not given"});
  ExpectToolError("metaperturb", "split --source=none --output=out", {"none: is no LMDB"});
  ExpectToolError("metaperturb", "split --source=db --output=out --groups=0", {"--groups=0"});
  ExpectToolError("metaperturb", "split --source=db --output=out --groups=8",
                  {"db: has 7 classes, too few for --groups=8 of at least two"});
  testing::WriteDatums(Path("one"), {testing::ByteDatum(1, 2, 2, 4), testing::ByteDatum(1, 2, 2, 5),
                                     testing::ByteDatum(1, 2, 2, 5)});
  ExpectToolError("metaperturb", "split --source=one --output=out --groups=1",
                  {"one: class 4 has only one image"});
  testing::WriteRecords(Path("bad"), {"no datum"});
  ExpectToolError("metaperturb", "split --source=bad --output=out",
                  {"bad: record '", "is no Datum"});
  Write("file", "");
  std::filesystem::create_directory(Path("empty"));
  Write("empty/tasks.prototxt", "");
  ExpectToolError("metaperturb", "split --source=db --output=empty --groups=3",
                  {"empty/tasks.prototxt: is there already, made by 'something else'"});
  ExpectToolError("metaperturb", "split --source=db --output=file/out --groups=3",
                  {"file/out: cannot be made"});
}

}  // namespace
}  // namespace caffe

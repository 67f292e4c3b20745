#include "solvers/meta_state_file.hpp"

#include "solvers/meta_solver_fixture.hpp"
#include "util/checksum.hpp"

namespace caffe {
namespace meta_testing {
namespace {

class MetaStateFileTest : public MetaSolverTest {
 protected:
  MetaStateFileTest() {
    head_.set_iter(7);
    head_.mutable_phi()->add_data(0.5f);
    head_.mutable_phi_solver()->set_iter(7);
    rest_.set_random_seed(uint64_t{1} << 40);
    rest_.add_losses()->add_theta(0.25);
    for (const char* name : {"a", "b", "c"}) {
      tasks_.emplace_back();
      tasks_.back().set_name(name);
      tasks_.back().set_train_passes(300);
      for (int i = 0; i < 20; ++i) tasks_.back().mutable_solver()->add_history()->add_data(i);
    }
  }

  string WriteState() {
    const string file = Path("state");
    MetaStateWriter writer(file, head_);
    for (const MetaSolverState::Task& task : tasks_) writer.AddTask(task);
    EXPECT_FALSE(std::filesystem::exists(file));
    writer.Finish(rest_);
    return file;
  }
  string Bytes(const string& file) {
    std::ifstream stream(file, std::ios::binary);
    return string(std::istreambuf_iterator<char>(stream), {});
  }
  MetaSolverState Whole() const {
    MetaSolverState whole = head_;
    whole.MergeFrom(rest_);
    for (const MetaSolverState::Task& task : tasks_) *whole.add_task() = task;
    return whole;
  }
  static bool All(int) { return true; }

  MetaSolverState head_, rest_;
  vector<MetaSolverState::Task> tasks_;
};

TEST_F(MetaStateFileTest, IsOneMessageInProtobufsForm) {
  MetaSolverState whole = Whole();
  whole.set_checksum(MessageCrc32(whole));
  EXPECT_TRUE(Bytes(WriteState()) == whole.SerializeAsString());
}

TEST_F(MetaStateFileTest, ReadsWhatIsWanted) {
  const string file = WriteState();
  EXPECT_EQ(ReadMetaState(file, All).SerializeAsString(), Whole().SerializeAsString());
  const MetaSolverState part = ReadMetaState(file, [](int t) { return t == 1; });
  ASSERT_EQ(part.task_size(), 3);
  EXPECT_EQ(part.task(1).SerializeAsString(), tasks_[1].SerializeAsString());
  for (const int t : {0, 2}) {
    EXPECT_EQ(part.task(t).name(), tasks_[t].name());
    EXPECT_FALSE(part.task(t).has_solver());
  }
}

TEST_F(MetaStateFileTest, AnyDamageIsNoticed) {
  const string good = Bytes(WriteState());
  const string file = Path("bad");
  const auto refused = [&](const string& bytes) {
    std::ofstream(file, std::ios::binary) << bytes;
    try {
      ReadMetaState(file, All);
    } catch (const Error& e) {
      EXPECT_EQ(string(e.what()).find(file + ": "), 0u) << e.what();
      return true;
    }
    return false;
  };
  EXPECT_FALSE(refused(good));
  for (size_t i = 0; i < good.size(); ++i) {
    string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << i % 8));
    EXPECT_TRUE(refused(bad)) << "byte " << i;
    EXPECT_TRUE(refused(good.substr(0, i))) << "cut to " << i;
  }
  ExpectError([&] { ReadMetaState(Path("missing"), All); }, {Path("missing"), "No such file"});
  ExpectError([&] { ReadMetaState(Path("net.prototxt"), All); }, {Path("net.prototxt")});
}

TEST_F(MetaStateFileTest, AFullDiskLeavesTheOldOne) {
  const string file = WriteState(), before = Bytes(file);
  {
    MetaStateWriter writer(file, head_);
    writer.AddTask(tasks_[0]);
  }
  EXPECT_EQ(Bytes(file), before);
  EXPECT_FALSE(std::filesystem::exists(file + ".tmp"));
  ExpectError([&] { MetaStateWriter(Path("no/where"), head_); }, {Path("no/where"), "written"});
}

}  // namespace
}  // namespace meta_testing
}  // namespace caffe

// Runs `metaperturb insert`, `generate` and `plot` as a user does.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "layers/read_phi.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

namespace fs = std::filesystem;

class MetaPerturbTool : public ::testing::Test {
 protected:
  void SetUp() override { MakeTempDir(&directory_); }
  void TearDown() override { fs::remove_all(directory_); }

  string Path(const string& name) const { return directory_ + "/" + name; }
  void Write(const string& name, const string& text) const { std::ofstream(Path(name)) << text; }
  string Read(const string& name) const {
    std::ifstream file(Path(name));
    return string(std::istreambuf_iterator<char>(file), {});
  }

  int Run(const string& arguments) {
    const string command =
        "cd " + directory_ + " && " METAPERTURB_BIN_DIR "/metaperturb " + arguments + " >log 2>&1";
    const int status = std::system(command.c_str());
    output_ = Read("log");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void ExpectError(const string& arguments, const string& part) {
    EXPECT_EQ(1, Run(arguments)) << arguments;
    EXPECT_EQ(0u, output_.find("ERROR: ")) << output_;
    EXPECT_EQ(output_.size() - 1, output_.find('\n')) << output_;
    EXPECT_NE(string::npos, output_.find(part)) << output_;
  }

  string directory_, output_;
};

TEST_F(MetaPerturbTool, Commands) {
  for (const char* help : {"help", "--help"}) {
    EXPECT_EQ(0, Run(help));
    EXPECT_NE(string::npos, output_.find("COMMAND [FLAGS]"));
  }
  for (const char* help : {"help plot", "plot --help", "plot --helpshort"}) {
    EXPECT_EQ(0, Run(help));
    EXPECT_EQ(0u, output_.find("metaperturb plot: flags"));
    EXPECT_NE(string::npos, output_.find("  --log=\n"));
  }
  ExpectError("help plt", "unknown command 'plt' (did you mean 'plot'?)");
  ExpectError("inser", "unknown command 'inser' (did you mean 'insert'?)");
  ExpectError("", "no command is given");
  ExpectError("plot more", "unexpected argument 'more'");
  ExpectError("plot --log=a:b --output=c.svg --epsilon=3", "--epsilon is not a flag of plot");
  ExpectError("report --noshared", "--shared is not a flag of report");
}

TEST_F(MetaPerturbTool, OutputThatIsLostIsAnError) {
  const string command =
      "cd " + directory_ + " && " + METAPERTURB_BIN_DIR + "/metaperturb help >/dev/full 2>errors";
  const int status = std::system(command.c_str());
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
  EXPECT_EQ("ERROR: standard output cannot be written; is the disk full?\n", Read("errors"));
}

// What a flag means to the command that was asked about, and defaults as one writes them.
TEST_F(MetaPerturbTool, HelpIsOfTheCommand) {
  EXPECT_EQ(0, Run("report --help"));
  EXPECT_NE(string::npos, output_.find("  --output=\n      HTML page\n")) << output_;
  EXPECT_EQ(0, Run("plot --help"));
  EXPECT_NE(string::npos, output_.find("  --output=\n      SVG picture\n")) << output_;
  EXPECT_EQ(0, Run("insert --help"));
  EXPECT_NE(string::npos, output_.find("  --drop_prob=0.1\n")) << output_;
}

// Each flag in tools/metaperturb/ is listed by the help of a command.
TEST_F(MetaPerturbTool, HelpListsEveryFlag) {
  string help;
  for (const char* command :
       {"train", "split", "insert", "generate", "evaluate", "plot", "report"}) {
    EXPECT_EQ(0, Run(string(command) + " --help"));
    help += output_;
  }
  int flags = 0;
  const std::regex definition("\nDEFINE_\\w+\\(\\s*(\\w+)");
  for (const auto& entry : fs::directory_iterator(METAPERTURB_SOURCE_DIR "/tools/metaperturb")) {
    std::ifstream file(entry.path());
    const string text(std::istreambuf_iterator<char>(file), {});
    for (std::sregex_iterator match(text.begin(), text.end(), definition), end; match != end;
         ++match, ++flags) {
      EXPECT_NE(string::npos, help.find("  --" + (*match)[1].str() + "=")) << (*match)[1];
    }
  }
  EXPECT_GT(flags, 40);
}

TEST_F(MetaPerturbTool, InsertsIntoAFile) {
  const string model = METAPERTURB_SOURCE_DIR "/models/vgg9/train_val.prototxt";
  ASSERT_EQ(0, Run("insert --model=" + model + " --output=mp.prototxt --shared")) << output_;
  NetParameter net;
  ReadNetParamsFromTextFileOrDie(Path("mp.prototxt"), &net);
  int count = 0;
  for (const LayerParameter& layer : net.layer()) {
    if (layer.type() == "MetaPerturb") count += layer.param(0).name() == "phi";
  }
  EXPECT_EQ(8, count);
  ExpectError("insert --model=mp.prototxt --output=b.prototxt", "mp.prototxt: layer 'conv1_");
  ExpectError("insert --model=missing.prototxt --output=b.prototxt", "missing.prototxt");
  ExpectError("insert --output=b.prototxt", "--model is not given");
}

TEST_F(MetaPerturbTool, PhiThatComesWithTheProjectIsTheDefault) {
  const auto phis = [this](const string& file) {
    std::set<string> found;
    NetParameter net;
    ReadNetParamsFromTextFileOrDie(Path(file), &net);
    for (const LayerParameter& layer : net.layer()) {
      if (layer.type() == "MetaPerturb") found.insert(layer.metaperturb_param().phi());
    }
    return found;
  };
  const string shipped = METAPERTURB_SOURCE_DIR "/models/phi/tiny_imagenet_resnet20.caffemodel";
  const string model = "insert --model=" METAPERTURB_SOURCE_DIR "/models/vgg9/train_val.prototxt";
  ASSERT_EQ(0, Run(model + " --output=a.prototxt")) << output_;
  EXPECT_EQ(std::set<string>{shipped}, phis("a.prototxt"));
  ASSERT_EQ(0, Run(model + " --output=b.prototxt --phi=none")) << output_;
  EXPECT_EQ(std::set<string>{""}, phis("b.prototxt"));
  ASSERT_EQ(0, Run(model + " --output=c.prototxt --phi=my.caffemodel")) << output_;
  EXPECT_NE(string::npos, output_.find("--phi=my.caffemodel cannot be read here")) << output_;
  EXPECT_EQ(std::set<string>{"my.caffemodel"}, phis("c.prototxt"));
  Write("my.prototxt", "layer { name: 'a' type: 'ReLU' }");
  ExpectError(model + " --output=d.prototxt --phi=my.prototxt",
              "my.prototxt: holds no MetaPerturb layer with its phi");
  ASSERT_EQ(0, Run("generate --model=conv4 --output=net")) << output_;
  EXPECT_EQ(std::set<string>{shipped}, phis("net/train_val_mp.prototxt"));
  EXPECT_EQ(std::set<string>{""}, phis("net/meta_train_val.prototxt"));

  // It was learned: far from its start, N(0, 0.01^2), and finite.
  const vector<double> phi = ReadPhi(shipped);
  ASSERT_EQ(82u, phi.size());
  double largest = 0;
  for (const double value : phi) largest = std::max(largest, std::abs(value));
  EXPECT_GT(largest, 0.1);
  EXPECT_LT(largest, 10);
}

TEST_F(MetaPerturbTool, InsertsRegularizers) {
  const string model = " --model=" METAPERTURB_SOURCE_DIR "/models/resnet20/train_val.prototxt";
  const string insert = "insert" + model + " --output=out.prototxt --regularizer=";
  const auto layer_of = [this](const string& type) {
    NetParameter net;
    ReadNetParamsFromTextFileOrDie(Path("out.prototxt"), &net);
    for (const LayerParameter& layer : net.layer()) {
      if (layer.type() == type) return layer;
    }
    return LayerParameter();
  };
  ASSERT_EQ(0, Run(insert + "dropblock --drop_prob=0.25 --block_size=5 --anneal_iter=40"));
  EXPECT_EQ("out.prototxt: dropblock in 9 places\n", output_);
  EXPECT_EQ("drop_prob: 0.25 block_size: 5 anneal_iter: 40",
            layer_of("DropBlock").dropblock_param().ShortDebugString());
  ASSERT_EQ(0, Run(insert + "information_dropout --max_alpha=0.5 --kl_weight=0.25"));
  EXPECT_EQ(0.5f, layer_of("InformationDropout").information_dropout_param().max_alpha());
  EXPECT_EQ(0.25f, layer_of("InformationDropout").loss_weight(1));
  ASSERT_EQ(0, Run(insert + "manifold_mixup --positions=5 --mixup_alpha=0.5"));
  EXPECT_EQ("alpha: 0.5 positions: 5", layer_of("MixupPlan").mixup_plan_param().ShortDebugString());
  ASSERT_EQ(0, Run(insert + "label_smoothing --label_smoothing=0.25"));
  EXPECT_EQ(0.25f, layer_of("SoftTargetLoss").soft_target_loss_param().label_smoothing());
  ASSERT_EQ(0, Run(insert + "cutout --cutout_length=8 --host=caffe"));
  EXPECT_EQ("length: 8", layer_of("Cutout").python_param().param_str());
  ASSERT_EQ(0, Run(insert + "stochastic_depth --survival_prob=0.1"));
  EXPECT_FLOAT_EQ(0.9f, layer_of("StochasticDepth").stochastic_depth_param().survival_prob());
  ExpectError(insert + "dropblok", "--regularizer=dropblok (did you mean 'dropblock'?)");
  ExpectError(insert + "mixup --phi=a", "--phi is for --regularizer=metaperturb");
  ExpectError(insert + "cutout --label_smoothing=0.3",
              "--label_smoothing is for --regularizer=label_smoothing; it is cutout");
  ExpectError(insert + "cutout --anneal_iter=3",
              "--anneal_iter is for --regularizer=metaperturb or dropblock; it is cutout");
  ExpectError(insert + "metaperturb --drop_prob=0.5",
              "--drop_prob is for --regularizer=dropblock; it is metaperturb");
  ExpectError(insert + "dropblock --anneal_iter=-5", "--anneal_iter=-5: must not be negative");
  ExpectError(insert + "cutout --cutout_length=-3", "--cutout_length=-3: must be positive");
  // What a layer's float would round to a limit.
  ExpectError(insert + "dropblock --drop_prob=0.9999999999", "must lie in [0, 1)");
  ExpectError(insert + "stochastic_depth --survival_prob=1e-60", "must lie in (0, 1]");
  ExpectError(insert + "information_dropout --max_alpha=inf", "must be positive and finite");
  ExpectError(insert + "mixup --mixup_alpha=1e60", "must be finite and not negative");
}

TEST_F(MetaPerturbTool, GenerateRefusesMistakes) {
  ExpectError("generate --model=resnet21 --output=x", "unknown model 'resnet21'");
  testing::WriteDatums(Path("empty"), {});
  ExpectError("generate --model=vgg9 --output=x --test_source=empty",
              "--test_source=empty: has no images");
  ExpectError("generate --model=vgg9 --output=x --batch=0", "--batch=0: must be positive");
  ExpectError("generate --model=vgg9 --output=x --base_lr=nan", "--base_lr=nan: must be positive");
  ExpectError("generate --model=vgg9 --output=x --base_lr=1e-60", "must be positive");
  ExpectError("generate --model=vgg9 --output=x.prototxt --max_iter=9",
              "--max_iter: is of the solvers, which only a folder as --output has");
  ExpectError("generate --model=vgg9 --output=x.prototxt --test_samples=5",
              "--test_samples: is of MetaPerturb, which --mp puts into the network");
  EXPECT_FALSE(fs::exists(Path("x")) || fs::exists(Path("x.prototxt")));
}

TEST_F(MetaPerturbTool, GenerateKeepsWhatWasThere) {
  for (const char* text : {"mine", "mine, too"}) {
    Write("net.prototxt", text);
    ASSERT_EQ(0, Run("generate --model=conv4 --output=net.prototxt")) << output_;
  }
  EXPECT_EQ("mine", Read("net.prototxt.old"));
  EXPECT_EQ("mine, too", Read("net.prototxt.old2"));
  ASSERT_EQ(0, Run("generate --model=conv4 --output=net.prototxt"));
  EXPECT_FALSE(fs::exists(Path("net.prototxt.old3")));
}

TEST_F(MetaPerturbTool, PlotsLogs) {
  Write("a.log",
        "I1124 02:50:06.70 139 solver.cpp:233] Iteration 0 (0 iter/s, 0s/10 iters), loss = 2.5\n"
        "I1124 02:50:06.70 139 solver.cpp:297] Iteration 10, Testing net (#0)\n"
        "I1124 02:50:06.70 139 solver.cpp:71]     Test net output #0: accuracy = 0.75\n"
        "I1124 02:50:06.70 139 solver.cpp:233] Iteration 10 (5 iter/s, 2s/10 iters), loss = 1.5\n");
  ASSERT_EQ(0, Run("plot '--log=plain & simple:a.log,again:a.log' --output=a.svg")) << output_;
  const string svg = Read("a.svg");
  EXPECT_EQ(0u, svg.find("<svg "));
  EXPECT_NE(string::npos, svg.find("plain &amp; simple"));
  size_t lines = 0;
  for (size_t at = svg.find("<polyline"); at != string::npos; at = svg.find("<polyline", at + 1)) {
    ++lines;
  }
  EXPECT_EQ(4u, lines);
  // Of a meta-training, theta's loss.
  Write("train.log",
        "I1124 02:50:06.70 139 solver.cpp:233] Iteration 0 (0 iter/s, 0s/10 iters), loss = 2.5\n"
        "I1124 02:50:06.70 139 solver.cpp:233] Iteration 10 (5 iter/s, 2s/10 iters), loss = 1.5\n");
  Write("meta.log",
        "I1124 02:50:06.70 139 m.cpp:1] Meta-iteration 0 (0 iter/s, 0s/1 iters), theta loss = 2.5, "
        "val loss = 9, |grad phi| = 1\n"
        "I1124 02:50:06.70 139 m.cpp:1] Meta-iteration 10 (5 iter/s, 2s/10 iters), theta loss = "
        "1.5, val loss = 7, |grad phi| = 1\n");
  ASSERT_EQ(0, Run("plot --log=x:train.log --output=train.svg")) << output_;
  ASSERT_EQ(0, Run("plot --log=x:meta.log --output=meta.svg")) << output_;
  EXPECT_EQ(Read("train.svg"), Read("meta.svg"));
  Write("empty.log", "nothing\n");
  ExpectError("plot --log=x:empty.log --output=a.svg", "empty.log: has no line");
  ExpectError("plot --log=x:none.log --output=a.svg", "none.log: cannot be read");
  ExpectError("plot --log=a.log --output=a.svg", "'a.log' is not of the form NAME:FILE");
  ExpectError("plot --log=x:train.log --output=a.png",
              "--output=a.png: the picture is written as SVG");
}

}  // namespace
}  // namespace caffe

// metaperturb COMMAND [FLAGS]: the meta-solver and its helpers.

#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "caffe/common.hpp"
#include "tools/metaperturb/commands.hpp"
#include "util/error.hpp"
#include "util/flag_help.hpp"
#include "util/nearest_name.hpp"
#include "util/threads.hpp"

namespace {

constexpr char kUsage[] =
    "metaperturb COMMAND [FLAGS]\n"
    "  train     meta-learns phi on source tasks\n"
    "              --solver=FILE [--snapshot=FILE.metastate|latest] [--tasks_at_once=N]\n"
    "              [--task_threads=N] [--gpu=0]; mpirun -np N metaperturb train ... for N\n"
    "              processes; --runs=N --select_on=TARGET_SOLVER: the best of several runs\n"
    "  split     makes source tasks of a labelled LMDB: groups of classes, halves swapped\n"
    "              --source=LMDB --output=FOLDER [--groups=5] [--seed=N]\n"
    "  insert    puts MetaPerturb layers into a network, or a regulariser to compare with\n"
    "              --model=IN.prototxt --output=OUT.prototxt [--phi=FILE] [--shared]\n"
    "              [--spatial_norm_factor=HEIGHT] [--anneal_iter=N]\n"
    "              [--regularizer=cutout|dropblock|information_dropout|label_smoothing|\n"
    "               manifold_mixup|mixup|stochastic_depth]\n"
    "  generate  writes the definition of a model, one file or a folder with its solvers\n"
    "              --model=NAME (models/README.md) --output=FILE.prototxt|FOLDER [--mp]\n"
    "              [--classes=N] [--crop=N] [--batch=N] [--max_iter=N] [--phi=FILE] ...\n"
    "  evaluate  accuracy, likelihood and calibration of the mean prediction over noise samples\n"
    "              --model=NET.prototxt --weights=FILE.caffemodel [--samples=100] [--images=N]\n"
    "              [--output=FILE.html] [--json=FILE]\n"
    "              and under attack: [--epsilon=2,4,8] [--norm=inf|2] [--attack_steps=20]\n"
    "  plot      draws training loss and test accuracy from logs\n"
    "              --log=NAME:FILE[,NAME:FILE ...] --output=FILE.svg\n"
    "  report    makes a page of a meta-training run: curves, phi, where it acts\n"
    "              --csv=FILE --output=FILE.html [--phi=FILE]\n"
    "  help      prints this; `metaperturb COMMAND --help` lists a command's flags";

struct Command {
  int (*run)();
  std::vector<caffe::CommandFlag> flags;
};

// Flags that several commands have are defined in the file of one of them.
const std::map<std::string, Command>& Commands() {
  static const std::map<std::string, Command> commands = {
      {"train",
       {RunTrain,
        {"solver",
         "snapshot",
         "iterations",
         "runs",
         "select_on",
         "tasks_at_once",
         "task_threads",
         {"gpu",
          "GPU to run on, by its number; several (0,1) or 'all': for the processes of mpirun, one "
          "for each; without it the CPU"}}}},
#ifndef METAPERTURB_FOREIGN_HOST
      {"split",
       {RunSplit,
        {"source",
         {"output", "Folder to write the tasks' LMDBs to"},
         "groups",
         {"seed", "Of the choice of groups and halves; 1 if not given"}}}},
#endif
      {"insert",
       {RunInsert,
        {"model",
         {"output", "The network with the new layers, a prototxt"},
         "phi",
         "shared",
         "spatial_norm_factor",
         "anneal_iter",
         "host",
         "regularizer",
         "drop_prob",
         "block_size",
         "max_alpha",
         "kl_weight",
         "mixup_alpha",
         "positions",
         "label_smoothing",
         "cutout_length",
         "survival_prob"}}},
      {"generate",
       {RunGenerate,
        {{"model", "resnet20, vgg9, conv4, mobilenet, ... (models/README.md)"},
         {"output", "A file (.prototxt), or a folder for the network and its solvers"},
         "mp",
         "classes",
         "crop",
         "batch",
         "test_batch",
         "test_images",
         "test_samples",
         "train_source",
         "test_source",
         "max_iter",
         "tests",
         "base_lr",
         {"seed", "The solvers' random_seed; negative: they have none"},
         "phi",
         "spatial_norm_factor",
         {"anneal_iter",
          "Passes over which the perturbation rises; 0: 40 % of max_iter in a folder, none "
          "in a single file"},
         "host"}}},
      {"evaluate",
       {RunEvaluate,
        {{"model", "The network, a prototxt with a data layer and a softmax in phase TEST"},
         "weights",
         "samples",
         "images",
         {"output", "HTML page with the table and the plots"},
         "json",
         "epsilon",
         "norm",
         "attack_steps",
         "attack_samples",
         {"seed", "Of the noise; 1 if not given"},
         {"gpu", "GPU to run on, by its number; without it the CPU"}}}},
      {"plot", {RunPlot, {"log", {"output", "SVG picture"}}}},
      {"report",
       {RunReport,
        {"csv",
         {"output", "HTML page"},
         {"phi", "File with the phi that the run learned, to show its kernels and weights"}}}}};
  return commands;
}

const Command& Find(const std::string& name) {
  const auto found = Commands().find(name);
  if (found != Commands().end()) return found->second;
  std::vector<std::string> known = {"help"};
  for (const auto& entry : Commands()) known.push_back(entry.first);
  THROW_ERROR << "unknown command '" << name << "'" << caffe::DidYouMean(name, known);
}

// metaperturb help [COMMAND], and --help with or without a command.
int Help(int argc, char** argv) {
  std::string name;
  for (int i = 1; i < argc && name.empty(); ++i) {
    if (argv[i][0] != '-' && argv[i] != std::string("help")) name = argv[i];
  }
  if (name.empty()) {
    std::cout << kUsage << std::endl;
    return 0;
  }
  const Command& command = Find(name);
  std::cout << "metaperturb " << name << ": flags with their defaults\n";
  caffe::PrintFlags(std::cout, command.flags);
  return 0;
}

int Run(int argc, char** argv) {
  if (caffe::IsHelpAsked(argc, argv) || (argc > 1 && argv[1] == std::string("help"))) {
    return Help(argc, argv);
  }
  // The meta-solver binds its threads itself.
  caffe::ConfigureThreads(argv, false);
  gflags::SetUsageMessage(kUsage);
  caffe::GlobalInit(&argc, &argv);
  ENFORCE(argc >= 2)
      << "no command is given: train, split, insert, generate, evaluate, plot, report or help";
  const std::string name = argv[1];
  const Command& command = Find(name);
  ENFORCE(argc == 2) << name << ": unexpected argument '" << argv[2] << "'";
  const std::vector<std::string> beside = caffe::GivenBeside(command.flags);
  ENFORCE(beside.empty()) << "--" << beside[0] << " is not a flag of " << name << "; `metaperturb "
                          << name << " --help` lists them";
  return command.run();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const int status = Run(argc, argv);
    ENFORCE(std::cout.flush()) << "standard output cannot be written; is the disk full?";
    return status;
  } catch (const std::exception& e) {
    std::cerr << "ERROR: " << e.what() << std::endl;
    return 1;
  }
}

// metaperturb COMMAND [FLAGS]: the meta-solver and its helpers.

#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "caffe/common.hpp"
#include "tools/metaperturb/commands.hpp"
#include "util/error.hpp"
#include "util/nearest_name.hpp"
#include "util/threads.hpp"

namespace {

constexpr char kUsage[] =
    "metaperturb COMMAND [FLAGS]\n"
    "  train     meta-learns phi on source tasks\n"
    "              --solver=FILE [--snapshot=FILE.metastate|latest] [--tasks_at_once=N]\n"
    "              [--task_threads=N]; mpirun -np N metaperturb train ... for N processes\n"
    "  split     makes source tasks of a labelled LMDB: groups of classes, halves swapped\n"
    "              --source=LMDB --output=FOLDER [--groups=5] [--seed=N]\n"
    "  insert    puts MetaPerturb layers into a network, or a regulariser to compare with\n"
    "              --model=IN.prototxt --output=OUT.prototxt [--phi=FILE] [--shared]\n"
    "              [--spatial_norm_factor=H] [--anneal_iter=N]\n"
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
    "  help      prints this; `metaperturb --help` lists every flag";

int RunHelp() {
  std::cout << kUsage << std::endl;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, int (*)()> commands = {
      {"train", RunTrain},       {"insert", RunInsert}, {"generate", RunGenerate},
      {"evaluate", RunEvaluate}, {"plot", RunPlot},     {"report", RunReport},
#ifndef METAPERTURB_FOREIGN_HOST
      {"split", RunSplit},
#endif
      {"help", RunHelp}};
  try {
    // The meta-solver binds its threads itself.
    caffe::ConfigureThreads(argv, false);
    gflags::SetUsageMessage(kUsage);
    caffe::GlobalInit(&argc, &argv);
    ENFORCE(argc >= 2)
        << "no command is given: train, split, insert, generate, evaluate, plot, report or help";
    const auto found = commands.find(argv[1]);
    if (found == commands.end()) {
      std::vector<std::string> known;
      for (const auto& entry : commands) known.push_back(entry.first);
      THROW_ERROR << "unknown command '" << argv[1] << "'" << caffe::DidYouMean(argv[1], known);
    }
    ENFORCE(argc == 2) << argv[1] << ": unexpected argument '" << argv[2] << "'";
    return found->second();
  } catch (const std::exception& e) {
    std::cerr << "ERROR: " << e.what() << std::endl;
    return 1;
  }
}

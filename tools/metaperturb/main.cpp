// metaperturb COMMAND [FLAGS]: the meta-solver and its helpers.

#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/util/nearest_name.hpp"
#include "caffe/util/threads.hpp"
#include "tools/metaperturb/commands.hpp"

int main(int argc, char** argv) {
  const std::map<std::string, int (*)()> commands = {
      {"train", RunTrain}, {"insert", RunInsert}, {"generate", RunGenerate}, {"plot", RunPlot}};
  try {
    caffe::ConfigureThreads(argv);
    gflags::SetUsageMessage(
        "metaperturb COMMAND\n"
        "  train     meta-learns phi: --solver=meta_solver.prototxt [--snapshot=FILE.metastate]\n"
        "  insert    puts MetaPerturb layers into a network: --model=IN.prototxt "
        "--output=OUT.prototxt\n"
        "  generate  writes a model definition: --model=resnet20|vgg9|mobilenet --output=FILE\n"
        "  plot      draws the curves of logs: --log=NAME=FILE,... --output=FILE.svg");
    caffe::GlobalInit(&argc, &argv);
    ENFORCE(argc == 2) << "one command is expected: train, insert, generate or plot (see --help)";
    const auto found = commands.find(argv[1]);
    if (found == commands.end()) {
      std::vector<std::string> known;
      for (const auto& entry : commands) known.push_back(entry.first);
      THROW_ERROR << "unknown command '" << argv[1] << "'" << caffe::DidYouMean(argv[1], known);
    }
    return found->second();
  } catch (const std::exception& e) {
    std::cerr << "ERROR: " << e.what() << std::endl;
    return 1;
  }
}

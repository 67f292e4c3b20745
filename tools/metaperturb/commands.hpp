#ifndef METAPERTURB_TOOLS_METAPERTURB_COMMANDS_HPP_
#define METAPERTURB_TOOLS_METAPERTURB_COMMANDS_HPP_

// The sub-commands of `metaperturb`, one file each. They read their gflags, return the exit code,
// and throw caffe::Error for a user's mistake.

int RunTrain();
int RunInsert();
int RunGenerate();
int RunPlot();
int RunReport();
int RunEvaluate();
int RunSplit();

#endif  // METAPERTURB_TOOLS_METAPERTURB_COMMANDS_HPP_
